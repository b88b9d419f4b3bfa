"""What a request costs when one process serves and when two do, on one PostgreSQL: CPU of all processes of the server.

Run: ``pip install -e '.[bench]'``, then ``python benchmarks/processes.py``; ``SECONDS=2 ROUNDS=25`` measures longer.
The clients take their part of the machine's cores, so the rate says little here and the CPU of a request a lot.

A second process is started for twice the clients, so it is measured with as many, and with the same ones, too: spread
over two processes they commit in smaller batches, so that each submit pays more of the transaction around it. Machines
drift within seconds, so what is compared is measured in short turns.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import grpc
from _measure import QUIET, Server, cpu_seconds, median_ratio, print_table

from jobyard.jobs.v1 import job_access_pb2, job_service_pb2_grpc, job_submit_pb2
from support.postgres import Cluster

ROUNDS = int(os.environ.get("ROUNDS", "15"))
SECONDS = float(os.environ.get("SECONDS", "1"))
CLIENTS = 16
KINDS = ("submit, gRPC", "get, gRPC", "get, REST")
GOAL = 1.15

Request = Callable[[], Awaitable[object]]


async def main() -> None:
    """Measure and print."""
    taken: dict[str, list[list[float]]] = {kind: [] for kind in KINDS}
    async with AsyncExitStack() as stack:
        cluster = stack.enter_context(Cluster(max_connections="100"))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        one, two = (
            stack.enter_context(
                Server(folder, "--processes", str(n), name=f"of-{n}", database=cluster.new_database(), **QUIET)
            )
            for n in (1, 2)
        )
        sides = [(one, CLIENTS), (two, 2 * CLIENTS), (two, CLIENTS)]
        loads = [(server, await requests(server, clients, stack)) for server, clients in sides]
        for turn in range(ROUNDS + 1):
            for kind in KINDS:
                costs = [await _cost(server, load[kind]) for server, load in loads]
                # The first turn makes the connections, and does not count.
                if turn:
                    taken[kind].append(costs)
    print_table(
        f"CPU of a request in microseconds, {CLIENTS} clients for each process",
        ("request", "one process", "two processes", "ratio", f"two, {CLIENTS} clients in all", "ratio", "goal of both"),
        [_row(kind, rounds) for kind, rounds in taken.items()],
    )


def _row(kind: str, rounds: list[list[float]]) -> tuple[object, ...]:
    one, two, same = (statistics.median(each) for each in zip(*rounds, strict=True))
    growth, spread = (median_ratio([(each[at], each[0]) for each in rounds]) for at in (1, 2))
    return kind, one, two, growth, same, spread, f"<= {GOAL}"


async def requests(server: Server, clients: int, stack: AsyncExitStack) -> dict[str, list[Request]]:
    """What so many clients ask of a server, by kind."""
    # A connection each, so that the kernel spreads the clients.
    own = [("grpc.use_local_subchannel_pool", 1)]
    channels = [
        await stack.enter_async_context(grpc.aio.insecure_channel(server.grpc, options=own)) for _ in range(clients)
    ]
    stubs = [job_service_pb2_grpc.JobServiceStub(channel) for channel in channels]
    new = job_submit_pb2.SubmitJobRequest(queue="q", payload='{"n": 1}')
    job = (await stubs[0].SubmitJob(new)).job.uid
    wanted = job_access_pb2.GetJobRequest(job=job)
    connector = aiohttp.TCPConnector(limit=clients)
    session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))

    async def get() -> None:
        async with session.get(f"{server.url}/jobyard/v1/jobs/{job}") as answer:
            assert answer.status == 200
            await answer.read()

    submits: list[Request] = [lambda stub=stub: stub.SubmitJob(new) for stub in stubs]
    gets: list[Request] = [lambda stub=stub: stub.GetJob(wanted) for stub in stubs]
    return dict(zip(KINDS, (submits, gets, [get] * clients), strict=True))


async def _cost(server: Server, load: list[Request]) -> float:
    done = 0
    until = time.perf_counter() + SECONDS

    async def client(request: Request) -> None:
        nonlocal done
        while time.perf_counter() < until:
            await request()
            done += 1

    before = _cpu(server)
    await asyncio.gather(*map(client, load))
    return (_cpu(server) - before) / done * 1e6


def _cpu(server: Server) -> float:
    """What all processes of a server have used."""
    own = server.process.pid
    children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
    return sum(cpu_seconds(pid) for pid in (own, *map(int, children)))


if __name__ == "__main__":
    asyncio.run(main())
