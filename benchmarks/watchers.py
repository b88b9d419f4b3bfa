"""What watchers cost that do not read: how fast others submit, how late one that reads hears, and how memory grows.

Every run has a server of its own and follows one without any watchers, so that the share left to submits is one of
the same machine at the same time. Run: ``python benchmarks/watchers.py``; ``EVENTS`` and ``WATCHERS`` say how many.
"""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import grpc
from _measure import Server, print_table

from jobyard.jobs.v1 import event_pb2, job_service_pb2_grpc, job_submit_pb2, job_watch_pb2

WATCHERS = int(os.environ.get("WATCHERS", "50"))
BATCH = 100
CLIENTS = 4
ROUNDS = max(1, int(os.environ.get("EVENTS", "4000")) // (BATCH * CLIENTS))
EVENTS = ROUNDS * BATCH * CLIENTS

NOT_AHEAD = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 16_384)]
"""Without these gRPC's own client takes up to four megabytes of a stream that its program does not read."""

REQUEST = job_submit_pb2.SubmitJobsRequest(
    requests=[job_submit_pb2.SubmitJobRequest(queue="nobody", payload='{"report": 1}')] * BATCH
)


async def main() -> None:
    """Measure and print."""
    rows = []
    for name, options in (("their clients stop, too", NOT_AHEAD), ("their clients read ahead", [])):
        alone, _, _ = await measure(0, options)
        rate, lags, grown = await measure(WATCHERS, options)
        quantiles = statistics.quantiles(lags, n=100)
        rows.append((name, alone, rate, rate / alone, quantiles[49], quantiles[98], grown / 2**20))
    print_table(
        f"{WATCHERS} watchers that do not read beside one that does, {EVENTS} events submitted as fast as they go",
        ("watchers", "submits/s alone", "submits/s", "ratio", "lag p50 s", "lag p99 s", "memory MiB"),
        rows,
    )


async def measure(watchers: int, options: Sequence[tuple[str, int]]) -> tuple[float, list[float], int]:
    """Submits per second, the lags of the one that reads, and by how many bytes the server grew."""
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), "--dev", JOBYARD_DEV_WORKER="false") as server:
        slow = grpc.aio.insecure_channel(server.grpc, options=[*options, ("grpc.use_local_subchannel_pool", 1)])
        async with slow, grpc.aio.insecure_channel(server.grpc) as channel:
            jobs = job_service_pb2_grpc.JobServiceStub(channel)
            await jobs.SubmitJobs(REQUEST)
            calls = [job_service_pb2_grpc.JobServiceStub(slow).WatchJobs(_watch()) for _ in range(watchers)]
            for call in calls:
                await call.initial_metadata()
            reading = asyncio.create_task(_lags(jobs))
            await asyncio.sleep(1.0)
            before, began = _resident(server.process.pid), time.perf_counter()
            await asyncio.gather(*(_submit(jobs, ROUNDS) for _ in range(CLIENTS)))
            rate = EVENTS / (time.perf_counter() - began)
            lags = await reading
            grown = _resident(server.process.pid) - before
            for call in calls:
                call.cancel()
            return rate, lags, grown


def _watch() -> job_watch_pb2.WatchJobsRequest:
    return job_watch_pb2.WatchJobsRequest()


async def _submit(jobs: job_service_pb2_grpc.JobServiceAsyncStub, batches: int) -> None:
    for _ in range(batches):
        await jobs.SubmitJobs(REQUEST)


async def _lags(jobs: job_service_pb2_grpc.JobServiceAsyncStub) -> list[float]:
    lags: list[float] = []
    async for message in jobs.WatchJobs(_watch()):
        if message.event.type == event_pb2.EVENT_TYPE_JOB_SUBMITTED:
            lags.append(time.time() - message.event.time.ToNanoseconds() / 1e9)
            if len(lags) == EVENTS:
                break
    return lags


def _resident(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0


if __name__ == "__main__":
    asyncio.run(main())
