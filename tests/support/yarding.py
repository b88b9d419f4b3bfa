"""A server process for tests, and the short sentences in which they talk to its jobs API."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from jobyard.jobs.v1 import (
    job_access_pb2,
    job_pb2,
    job_service_pb2_grpc,
    job_submit_pb2,
    job_watch_pb2,
    state_pb2,
    subjob_pb2,
)
from jobyard_server.worker.plan import Limits, Plan
from jobyard_server.worker.worker import Worker
from support.running import Server

ENDED = {
    state_pb2.STATE_SUCCEEDED,
    state_pb2.STATE_FAILED,
    state_pb2.STATE_PARTIALLY_FAILED,
    state_pb2.STATE_CANCELLED,
}
QUICK = {
    "JOBYARD_LEASE_SECONDS": "6",
    "JOBYARD_HEARTBEAT_SECONDS": "0.3",
    "JOBYARD_LEASE_CHECK_SECONDS": "0.2",
    "JOBYARD_WAKE_CHECK_SECONDS": "0.1",
    "JOBYARD_CANCEL_CHECK_SECONDS": "0.2",
    "JOBYARD_DRAIN_SECONDS": "1",
}


class Jobs:
    """The jobs API, as one test uses it: a queue of its own, and nothing of other tests."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.stub = job_service_pb2_grpc.JobServiceStub(channel)
        self.queue = f"q-{uuid.uuid4().hex[:12]}"

    async def submit(self, payload: Any = None, **fields: Any) -> job_pb2.Job:
        text = payload if isinstance(payload, str) else json.dumps(payload)
        request = job_submit_pb2.SubmitJobRequest(**{"queue": self.queue, "payload": text, **fields})
        return (await self.stub.SubmitJob(request, timeout=60)).job

    async def get(self, job: job_pb2.Job) -> job_pb2.Job:
        return (await self.stub.GetJob(job_access_pb2.GetJobRequest(job=job.uid), timeout=60)).job

    async def until(self, job: job_pb2.Job, *states: int, seconds: float = 120.0) -> job_pb2.Job:
        """The job as it is when it has come to one of some states; without any, to its end."""
        wanted = set(states) or ENDED
        async with asyncio.timeout(seconds):
            while (found := await self.get(job)).state not in wanted:
                await asyncio.sleep(0.02)
        return found

    async def subjob(self, job: job_pb2.Job) -> subjob_pb2.Subjob:
        answer = await self.stub.ListSubjobs(job_access_pb2.ListSubjobsRequest(job=job.uid), timeout=60)
        (only,) = answer.subjobs
        return only

    async def attempts(self, job: job_pb2.Job) -> list[subjob_pb2.Attempt]:
        request = job_access_pb2.ListAttemptsRequest(job=job.uid)
        return list((await self.stub.ListAttempts(request, timeout=60)).attempts)

    async def log(self, job: job_pb2.Job) -> bytes:
        request = job_watch_pb2.GetLogRequest(job=job.uid)
        return b"".join([chunk.data async for chunk in self.stub.GetLog(request, timeout=60)])

    async def log_has(self, job: job_pb2.Job, words: bytes, seconds: float = 120.0) -> None:
        """Return when the log holds some words."""
        async with asyncio.timeout(seconds):
            while True:
                try:
                    if words in await self.log(job):
                        return
                except grpc.aio.AioRpcError as error:
                    if error.code() is not grpc.StatusCode.NOT_FOUND:
                        raise
                await asyncio.sleep(0.05)

    async def cancel(self, job: job_pb2.Job) -> job_pb2.Job:
        return (await self.stub.CancelJob(job_access_pb2.CancelJobRequest(job=job.uid), timeout=60)).job

    @asynccontextmanager
    async def worker(self, *argv: str, limits: Limits | None = None, **plan: Any) -> AsyncIterator[Worker]:
        """A worker of the queue, in this process."""
        found = Plan(
            programs={self.queue: argv},
            limits=limits or Limits(grace_seconds=1.0),
            **{"environment": {"PATH": "/usr/local/bin:/usr/bin:/bin"}, "drain_seconds": 0.0, **plan},
        )
        worker = Worker(self.channel, (), found)
        running = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            worker.leave()
            await asyncio.wait_for(running, 60)


@asynccontextmanager
async def jobs_of(server: Server) -> AsyncIterator[Jobs]:
    options = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 200)]
    async with grpc.aio.insecure_channel(server.grpc, options=options) as channel:
        yield Jobs(channel)


def quick_server(folder: Path, *arguments: str, **settings: str) -> Server:
    """A server whose periods are short."""
    return Server(folder, *arguments, **QUICK | settings)


async def refused(call: Any) -> tuple[grpc.StatusCode, str, list[str]]:
    """Code, reason and fields with which a call is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    error = caught.value
    details = dict(error.trailing_metadata())["grpc-status-details-bin"]
    reason, fields = "", []
    for packed in status_pb2.Status.FromString(details).details:
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if packed.Unpack(info):
            reason = info.reason
        elif packed.Unpack(bad):
            fields = [violation.field for violation in bad.field_violations]
    return error.code(), reason, fields
