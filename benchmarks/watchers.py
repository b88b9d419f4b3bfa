"""What watchers cost that do not read: how fast others submit, how late one that reads hears, and how memory grows.

Every run has a server of its own and follows one without any watchers, so that the share left to submits is one of
the same machine at the same time. How late the one that reads hears is measured at a steady pace: as fast as clients
can submit in batches, no stream of single messages keeps up. Run: ``python benchmarks/watchers.py``; ``EVENTS`` and
``WATCHERS`` say how many, ``PACE`` how many a second in the steady part.
"""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
from _measure import Server, print_table

from jobyard.jobs.v1 import event_pb2, job_service_pb2_grpc, job_submit_pb2, job_watch_pb2

EVENTS = int(os.environ.get("EVENTS", "20000"))
WATCHERS = int(os.environ.get("WATCHERS", "50"))
PACE = int(os.environ.get("PACE", "1000"))
BATCH = 100
CLIENTS = 4
ROUNDS = max(1, EVENTS // (BATCH * CLIENTS))
TOTAL = ROUNDS * BATCH * CLIENTS

NOT_AHEAD = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 16_384)]
"""Without these gRPC's own client takes up to four megabytes of a stream that its program does not read."""

REQUEST = job_submit_pb2.SubmitJobsRequest(
    requests=[job_submit_pb2.SubmitJobRequest(queue="nobody", payload='{"report": 1}')] * BATCH
)


@dataclass(frozen=True)
class Run:
    """What one server did."""

    rate: float
    """Submits per second, as fast as they go."""
    lags: Sequence[float]
    """Of the one that reads, at a steady pace."""
    grown: int
    """Bytes."""


async def main() -> None:
    """Measure and print."""
    rows = []
    for name, options in (("their clients stop, too", NOT_AHEAD), ("their clients read ahead", [])):
        alone, beside = await measure(0, options), await measure(WATCHERS, options)
        rows.append(
            (
                *(name, alone.rate, beside.rate, beside.rate / alone.rate),
                *(_quantile(alone.lags, 99), _quantile(beside.lags, 50), _quantile(beside.lags, 99)),
                beside.grown / 2**20,
            )
        )
    print_table(
        f"{WATCHERS} watchers that do not read beside one that does: {TOTAL} jobs as fast as they go, "
        f"then as many at {PACE} a second",
        ("watchers", "submits/s alone", "submits/s", "ratio", "lag p99 s alone", "p50 s", "p99 s", "memory MiB"),
        rows,
    )


async def measure(watchers: int, options: Sequence[tuple[str, int]]) -> Run:
    """One server, with so many watchers that do not read."""
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), "--dev", JOBYARD_DEV_WORKER="false") as server:
        slow = grpc.aio.insecure_channel(server.grpc, options=[*options, ("grpc.use_local_subchannel_pool", 1)])
        async with slow, grpc.aio.insecure_channel(server.grpc) as channel:
            jobs = job_service_pb2_grpc.JobServiceStub(channel)
            await jobs.SubmitJobs(REQUEST)
            calls = [job_service_pb2_grpc.JobServiceStub(slow).WatchJobs(_watch()) for _ in range(watchers)]
            for call in calls:
                await call.initial_metadata()
            before = _resident(server.process.pid)
            reading = asyncio.create_task(_lags(jobs))
            await asyncio.sleep(1.0)
            began = time.perf_counter()
            await asyncio.gather(*(_submit(jobs) for _ in range(CLIENTS)))
            rate = TOTAL / (time.perf_counter() - began)
            await reading
            reading = asyncio.create_task(_lags(jobs))
            await asyncio.sleep(1.0)
            await _submit_steadily(jobs)
            lags = await reading
            grown = _resident(server.process.pid) - before
            for call in calls:
                call.cancel()
            return Run(rate, lags, grown)


def _watch() -> job_watch_pb2.WatchJobsRequest:
    return job_watch_pb2.WatchJobsRequest()


async def _submit(jobs: job_service_pb2_grpc.JobServiceAsyncStub) -> None:
    for _ in range(ROUNDS):
        await jobs.SubmitJobs(REQUEST)


async def _submit_steadily(jobs: job_service_pb2_grpc.JobServiceAsyncStub) -> None:
    began = time.perf_counter()
    for number in range(ROUNDS * CLIENTS):
        await asyncio.sleep(began + number * BATCH / PACE - time.perf_counter())
        await jobs.SubmitJobs(REQUEST)


async def _lags(jobs: job_service_pb2_grpc.JobServiceAsyncStub) -> list[float]:
    lags: list[float] = []
    async for message in jobs.WatchJobs(_watch()):
        if message.event.type == event_pb2.EVENT_TYPE_JOB_SUBMITTED:
            lags.append(time.time() - message.event.time.ToNanoseconds() / 1e9)
            if len(lags) == TOTAL:
                break
    return lags


def _quantile(lags: Sequence[float], percent: int) -> float:
    return statistics.quantiles(lags, n=100)[percent - 1]


def _resident(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0


if __name__ == "__main__":
    asyncio.run(main())
