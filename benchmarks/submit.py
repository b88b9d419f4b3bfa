"""Durable submit through gRPC and REST beside a no-op call of the same server, and GET of a job over both doors.

Ratios are medians over rounds in which the compared calls follow one another. Run: ``python benchmarks/submit.py``.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

import aiohttp
import grpc
from _measure import Result, Server, drive, median_ratio, print_table
from grpc_health.v1 import health_pb2, health_pb2_grpc

from jobyard.jobs.v1 import job_access_pb2, job_service_pb2_grpc, job_submit_pb2

ROUNDS = int(os.environ.get("ROUNDS", "5"))
SECONDS = float(os.environ.get("SECONDS", "2"))
CLIENTS = 64
PAYLOAD = '{"file": "2026-10.csv", "status": "open", "recipients": ["a@example.org", "b@example.org"]}'


async def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), "--dev", JOBYARD_DEV_WORKER="false") as server:
        async with grpc.aio.insecure_channel(server.grpc) as channel, aiohttp.ClientSession() as session:
            calls = Calls(server, channel, session)
            await calls.warm_up()
            at_64 = [await calls.round(CLIENTS) for _ in range(ROUNDS)]
            at_1 = [await calls.round(1) for _ in range(ROUNDS)]
        fsync = fsync_milliseconds(Path(folder))
    report(at_64, at_1, fsync)


class Calls:
    """The calls compared."""

    def __init__(self, server: Server, channel: grpc.aio.Channel, session: aiohttp.ClientSession) -> None:
        self._pid = server.process.pid
        self._url = f"{server.url}/jobyard/v1/jobs"
        self._health = health_pb2_grpc.HealthStub(channel)
        self._jobs = job_service_pb2_grpc.JobServiceStub(channel)
        self._session = session
        self._uid = ""
        self._run = 0

    async def warm_up(self) -> None:
        """Make the job that the GETs ask for, and let every path run a little."""
        self._uid = (await self._jobs.SubmitJob(job_submit_pb2.SubmitJobRequest(payload=PAYLOAD))).job.uid
        await self.round(CLIENTS, 0.3)

    async def round(self, clients: int, seconds: float = SECONDS) -> dict[str, Result]:
        """Measure each call once, one after the other."""
        self._run += 1
        calls = {
            "no-op gRPC": self._noop,
            "submit gRPC": self._submit,
            "submit REST": self._post,
            "get gRPC": self._get,
            "get REST": self._fetch,
        }
        return {name: await drive(self._pid, call, clients=clients, seconds=seconds) for name, call in calls.items()}

    async def _noop(self, _: int) -> None:
        await self._health.Check(health_pb2.HealthCheckRequest())

    async def _submit(self, number: int) -> None:
        key = f"g{self._run}-{number}"
        await self._jobs.SubmitJob(job_submit_pb2.SubmitJobRequest(payload=PAYLOAD, idempotency_key=key))

    async def _post(self, number: int) -> None:
        body = f'{{"payload": {PAYLOAD}, "idempotency_key": "r{self._run}-{number}"}}'
        async with self._session.post(self._url, data=body, headers={"Content-Type": "application/json"}) as answer:
            assert answer.status == 201, await answer.text()
            await answer.read()

    async def _get(self, _: int) -> None:
        await self._jobs.GetJob(job_access_pb2.GetJobRequest(job=self._uid))

    async def _fetch(self, _: int) -> None:
        async with self._session.get(f"{self._url}/{self._uid}") as answer:
            assert answer.status == 200, await answer.text()
            await answer.read()


def fsync_milliseconds(folder: Path) -> float:
    """The median time of one 4 KiB append with fsync on this disk."""
    times = []
    with (folder / "probe").open("wb", buffering=0) as probe:
        for _ in range(200):
            began = time.perf_counter()
            probe.write(bytes(4096))
            os.fsync(probe.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e3


def report(at_64: list[dict[str, Result]], at_1: list[dict[str, Result]], fsync: float) -> None:
    """Print medians and the ratios that matter."""
    for clients, rounds in ((CLIENTS, at_64), (1, at_1)):
        rows = []
        for name in rounds[0]:
            runs = [measured[name] for measured in rounds]
            medians = (statistics.median(getattr(run, part) for run in runs) for part in ("rate", "p50", "p99", "cpu"))
            rows.append((name, *medians))
        print_table(f"{clients} at once", ("call", "per second", "p50 ms", "p99 ms", "server CPU µs"), rows)

    def rate(a: str, b: str) -> float:
        return median_ratio([(run[a].rate, run[b].rate) for run in at_64])

    def cpu(a: str, b: str) -> float:
        return median_ratio([(run[a].cpu, run[b].cpu) for run in at_64])

    alone = statistics.median(run["submit gRPC"].p50 / (run["no-op gRPC"].p50 + fsync) for run in at_1)
    print_table(
        "Ratios",
        ("what", "ratio", "target"),
        [
            ("submit gRPC / no-op gRPC, rate at 64", rate("submit gRPC", "no-op gRPC"), ">= 0.45"),
            ("submit REST / no-op gRPC, rate at 64", rate("submit REST", "no-op gRPC"), ""),
            ("submit gRPC / no-op gRPC, CPU at 64", cpu("submit gRPC", "no-op gRPC"), ""),
            (f"submit gRPC p50 at 1 / (no-op + one fsync of {fsync:.2f} ms)", alone, "<= 2"),
            ("GET of a job, REST / gRPC, CPU at 64", cpu("get REST", "get gRPC"), "<= 0.5"),
        ],
    )


if __name__ == "__main__":
    asyncio.run(main())
