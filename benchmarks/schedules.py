"""How late jobs of schedules are that are all due in the same second, while other clients submit jobs.

Every run has a server of its own. The lag is from the due time to the transaction that made the job. Run:
``python benchmarks/schedules.py``; ``COUNTS="1000 10000"`` takes other numbers of schedules.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import grpc
from _measure import Server, cpu_seconds, print_table

from jobyard.jobs.v1 import job_access_pb2, job_service_pb2_grpc, job_submit_pb2, schedule_pb2

COUNTS = [int(word) for word in os.environ.get("COUNTS", "1000 10000 50000").split()]
CLIENTS = 16
RATE = 200
"""Jobs that other clients submit per second in all."""

BATCH = 1000
QUIET = 5.0
"""Seconds before the due time in which the other clients are measured alone."""


async def main() -> None:
    """Measure and print."""
    rows = [await measure(count) for count in COUNTS]
    print_table(
        f"Schedules due in one second, beside {RATE} submits per second",
        ("schedules", "fired", "lag p50 s", "lag p99 s", "longest s", "per second", "CPU µs each",
         "submit p99 ms before", "submit p99 ms while firing"),
        rows,
    )  # fmt: skip


async def measure(count: int) -> tuple[object, ...]:
    """One run."""
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), "--dev", JOBYARD_DEV_WORKER="false") as server:
        async with grpc.aio.insecure_channel(server.grpc) as channel, aiohttp.ClientSession() as session:
            run = Run(server, job_service_pb2_grpc.JobServiceStub(channel), session)
            return await run.measure(count)


class Run:
    """A server with schedules, and its other clients."""

    def __init__(
        self, server: Server, jobs: job_service_pb2_grpc.JobServiceAsyncStub, session: aiohttp.ClientSession
    ) -> None:
        self._server = server
        self._jobs = jobs
        self._session = session
        self._took: list[tuple[float, float]] = []

    async def measure(self, count: int) -> tuple[object, ...]:
        """Submit the schedules, wait for their second, and see how late their jobs were made."""
        due = int(time.time()) + 5 + int(QUIET) + count // 1000
        await self._schedule(count, due)
        left = due - QUIET - time.time()
        if left < 0:
            raise SystemExit(f"{count} schedules could not be submitted in time; this machine is too busy")
        await asyncio.sleep(left)
        others = asyncio.gather(*(self._submit() for _ in range(CLIENTS)))
        await asyncio.sleep(due - time.time())
        began = cpu_seconds(self._server.process.pid)
        ended = await self._all_fired()
        used = cpu_seconds(self._server.process.pid) - began
        others.cancel()
        await asyncio.gather(others, return_exceptions=True)
        lags = await self._lags()
        quantiles = statistics.quantiles(lags, n=100)
        before = [took for at, took in self._took if at < due]
        during = [took for at, took in self._took if due <= at < ended]
        return (
            *(count, len(lags), quantiles[49], quantiles[98], max(lags), len(lags) / max(lags)),
            *(used / len(lags) * 1e6, _p99(before), _p99(during)),
        )

    async def _schedule(self, count: int, due: int) -> None:
        at = time.gmtime(due)
        schedule = schedule_pb2.Schedule(
            cron=f"{at.tm_sec} {at.tm_min} {at.tm_hour} * * *", seconds=schedule_pb2.CRON_SECONDS_FIRST
        )
        for first in range(0, count, BATCH):
            requests = [
                job_submit_pb2.SubmitJobRequest(payload=f'{{"report": {number}}}', schedule=schedule)
                for number in range(first, min(first + BATCH, count))
            ]
            await self._jobs.SubmitJobs(job_submit_pb2.SubmitJobsRequest(requests=requests))

    async def _submit(self) -> None:
        while True:
            began, at = time.perf_counter(), time.time()
            await self._jobs.SubmitJob(job_submit_pb2.SubmitJobRequest(payload='{"by": "hand"}'))
            took = time.perf_counter() - began
            self._took.append((at, took))
            await asyncio.sleep(max(0.0, CLIENTS / RATE - took))

    async def _all_fired(self) -> float:
        """When the server says for the first time, and then again, that no schedule is late."""
        first = 0.0
        while True:
            await asyncio.sleep(1.0)
            async with self._session.get(f"{self._server.url}/metrics") as answer:
                lines = (await answer.text()).splitlines()
            (lag,) = [float(line.split()[1]) for line in lines if line.startswith("jobyard_schedule_lag_seconds ")]
            if lag:
                first = 0.0
            elif first:
                return first
            else:
                first = time.time()

    async def _lags(self) -> list[float]:
        lags: list[float] = []
        token = ""
        while True:
            request = job_access_pb2.ListJobsRequest(
                filter="parent > 0", order_by="number", page_size=BATCH, page_token=token
            )
            page = await self._jobs.ListJobs(request)
            lags += [(job.create_time.ToNanoseconds() - job.due_time.ToNanoseconds()) / 1e9 for job in page.jobs]
            token = page.next_page_token
            if not token:
                return lags


def _p99(took: Sequence[float]) -> float:
    return statistics.quantiles(took, n=100)[98] * 1e3


if __name__ == "__main__":
    asyncio.run(main())
