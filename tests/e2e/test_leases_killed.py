"""Leases over a death of the server: a short one costs nothing, after a long one everything is run again."""

import asyncio
import time

import grpc
import pytest

from jobyard.jobs.v1 import (
    job_access_pb2,
    job_submit_pb2,
    job_watch_pb2,
    state_pb2,
    subjob_pb2,
    worker_lease_pb2,
    worker_service_pb2_grpc,
)
from support.yarding import Jobs, jobs_of, quick_server

LEASES = 100
LIFE = 3.0
"""Seconds a session lives."""


class Holder:
    """A worker that holds leases and says so."""

    def __init__(self, jobs: Jobs) -> None:
        self.stub = worker_service_pb2_grpc.WorkerServiceStub(jobs.channel)
        self.queue = jobs.queue
        self.tokens: list[str] = []

    async def take(self, limit: int) -> None:
        request = worker_lease_pb2.AcquireRequest(
            session="holder-01", worker="holder", queues=[self.queue], limit=limit, wait={"seconds": 5}
        )
        answer = await self.stub.Acquire(request, timeout=60)
        self.tokens += [lease.token for lease in answer.leases]

    async def beat(self) -> set[int]:
        held = [worker_lease_pb2.HeldLease(token=token) for token in self.tokens]
        request = worker_lease_pb2.HeartbeatRequest(session="holder-01", leases=held)
        return set((await self.stub.Heartbeat(request, timeout=60, wait_for_ready=True)).directives)

    async def live(self, seconds: float) -> None:
        """Beat for so long; nothing may be taken away."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert await self.beat() == {worker_lease_pb2.DIRECTIVE_GO_ON}
            await asyncio.sleep(0.3)


async def submitted(jobs: Jobs) -> None:
    one = job_submit_pb2.SubmitJobRequest(queue=jobs.queue, payload="null")
    await jobs.stub.SubmitJobs(job_submit_pb2.SubmitJobsRequest(requests=[one] * LEASES), timeout=60)


async def states(jobs: Jobs) -> set[int]:
    request = job_access_pb2.ListJobsRequest(filter=f"queue = {jobs.queue}", page_size=1000)
    found = (await jobs.stub.ListJobs(request, timeout=60)).jobs
    assert len(found) == LEASES
    return {job.state for job in found}


async def attempts(jobs: Jobs) -> set[tuple[int, ...]]:
    """The outcomes of each job's attempts."""
    request = job_access_pb2.ListJobsRequest(filter=f"queue = {jobs.queue}", page_size=1000)
    found = (await jobs.stub.ListJobs(request, timeout=60)).jobs
    return {tuple(one.outcome for one in await jobs.attempts(job)) for job in found}


@pytest.mark.timeout(300)
async def test_leases_outlive_a_short_death_of_the_server_and_not_a_long_one(tmp_path):
    server = quick_server(tmp_path, JOBYARD_LEASE_SECONDS=str(LIFE))
    with server:
        async with jobs_of(server) as jobs:
            await submitted(jobs)
            holder = Holder(jobs)
            await holder.take(LEASES)
            assert len(holder.tokens) == LEASES
            await holder.live(0.5)

            server.kill()
            await asyncio.sleep(LIFE / 3)
            server.start()
            await holder.live(LIFE + 1)
            assert await attempts(jobs) == {(subjob_pb2.ATTEMPT_OUTCOME_OPEN,)}
            assert await states(jobs) == {state_pb2.STATE_RUNNING}

            server.kill()
            await asyncio.sleep(2 * LIFE)
            server.start()
            # The worker is silent now. It is given one life from when it could have been heard again.
            began = time.monotonic()
            while await states(jobs) != {state_pb2.STATE_PENDING}:
                assert time.monotonic() - began < LIFE + 60, "not all were given back in time"
                await asyncio.sleep(0.1)
            assert await attempts(jobs) == {(subjob_pb2.ATTEMPT_OUTCOME_LOST,)}

            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await holder.beat()
            assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
            holder.tokens.clear()
            await holder.take(LEASES)
            assert len(holder.tokens) == LEASES
            await holder.live(0.5)
            expected = (subjob_pb2.ATTEMPT_OUTCOME_LOST, subjob_pb2.ATTEMPT_OUTCOME_OPEN)
            assert await attempts(jobs) == {expected}
            await check_told(jobs)


async def check_told(jobs: Jobs) -> None:
    """What happened was told without a gap, and adds up to where the jobs stand."""
    request = job_access_pb2.ListJobsRequest(filter=f"queue = {jobs.queue}", page_size=3)
    for job in (await jobs.stub.ListJobs(request, timeout=60)).jobs:
        stream = jobs.stub.WatchJobs(job_watch_pb2.WatchJobsRequest(job=job.uid))
        seen = []
        async for message in stream:
            seen.append(message.event)
            if message.event.job_seq == 7:
                break
        stream.cancel()
        assert [event.job_seq for event in seen] == list(range(1, 8))
        assert seen[-1].state == job.state
