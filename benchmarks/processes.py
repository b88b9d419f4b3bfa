"""What a request costs when one process serves and when two do, on one PostgreSQL: CPU of all processes of the server.

Run: ``pip install -e '.[bench]'``, then ``python benchmarks/processes.py``; ``SECONDS=10 ROUNDS=5`` measures longer.
The clients take their part of the machine's cores, so the rate says little here and the CPU of a request a lot.

A second process is started for twice the clients, so it is measured with as many, and with the same ones, too: spread
over two processes they commit in batches of half the size, so that each submit pays more of the transaction around it.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import grpc
from _measure import QUIET, Server, cpu_seconds, median_ratio, print_table

from jobyard.jobs.v1 import job_access_pb2, job_service_pb2_grpc, job_submit_pb2
from support.postgres import Cluster

ROUNDS = int(os.environ.get("ROUNDS", "3"))
SECONDS = float(os.environ.get("SECONDS", "5"))
CLIENTS = 16
GOAL = 1.15

Request = Callable[[], Awaitable[object]]


async def main() -> None:
    """Measure and print."""
    taken: dict[str, list[tuple[float, float, float]]] = {}
    with Cluster(max_connections="100") as cluster, tempfile.TemporaryDirectory() as folder:
        servers = [
            Server(
                Path(folder), "--processes", str(count), name=f"of-{count}", database=cluster.new_database(), **QUIET
            )
            for count in (1, 2)
        ]
        with servers[0], servers[1]:
            for _ in range(ROUNDS):
                one = await costs(servers[0], CLIENTS)
                two, same = await costs(servers[1], 2 * CLIENTS), await costs(servers[1], CLIENTS)
                for what, cost in one.items():
                    taken.setdefault(what, []).append((cost, two[what], same[what]))
    print_table(
        f"CPU of a request in microseconds, {CLIENTS} clients for each process",
        ("request", "one process", "two processes", "ratio", f"two, {CLIENTS} clients in all", "ratio", "goal of both"),
        [_row(what, rounds) for what, rounds in taken.items()],
    )


def _row(what: str, rounds: list[tuple[float, float, float]]) -> tuple[object, ...]:
    one, two, same = (statistics.median(each) for each in zip(*rounds, strict=True))
    growth, spread = (median_ratio([(each[at], each[0]) for each in rounds]) for at in (1, 2))
    return what, one, two, growth, same, spread, f"<= {GOAL}"


async def costs(server: Server, clients: int) -> dict[str, float]:
    """CPU microseconds of each kind of request."""
    # A connection each, so that the kernel spreads the clients.
    own = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(server.grpc, options=own) for _ in range(clients)]
    stubs = [job_service_pb2_grpc.JobServiceStub(channel) for channel in channels]
    new = job_submit_pb2.SubmitJobRequest(queue="q", payload='{"n": 1}')
    job = (await stubs[0].SubmitJob(new)).job.uid
    wanted = job_access_pb2.GetJobRequest(job=job)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=clients)) as session:

        async def get() -> None:
            async with session.get(f"{server.url}/jobyard/v1/jobs/{job}") as answer:
                assert answer.status == 200
                await answer.read()

        kinds: dict[str, list[Request]] = {
            "submit, gRPC": [lambda stub=stub: stub.SubmitJob(new) for stub in stubs],
            "get, gRPC": [lambda stub=stub: stub.GetJob(wanted) for stub in stubs],
            "get, REST": [get] * clients,
        }
        found = {what: await _cost(server, requests) for what, requests in kinds.items()}
    for channel in channels:
        await channel.close()
    return found


async def _cost(server: Server, requests: list[Request]) -> float:
    done = 0
    until = time.perf_counter() + SECONDS

    async def client(request: Request) -> None:
        nonlocal done
        while time.perf_counter() < until:
            await request()
            done += 1

    before = _cpu(server)
    await asyncio.gather(*map(client, requests))
    return (_cpu(server) - before) / done * 1e6


def _cpu(server: Server) -> float:
    """What all processes of a server have used."""
    own = server.process.pid
    children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
    return sum(cpu_seconds(pid) for pid in (own, *map(int, children)))


if __name__ == "__main__":
    asyncio.run(main())
