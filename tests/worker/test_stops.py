"""How a worker stops programs: when a job is cancelled, and when the server says suspend or lost."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from jobyard.jobs.v1 import (
    job_pb2,
    state_pb2,
    subjob_pb2,
    worker_lease_pb2,
    worker_service_pb2_grpc,
    worker_settle_pb2,
)
from jobyard_server.worker.plan import Limits, Plan
from jobyard_server.worker.worker import Worker


async def test_a_cancelled_job_is_told_with_sigterm_and_ends_cancelled(jobs):
    async with jobs.worker("bash", "-c", "trap 'echo told; exit 3' TERM; echo ready; while :; do sleep 0.05; done"):
        job = await jobs.submit()
        await jobs.log_has(job, b"ready")
        assert (await jobs.cancel(job)).state == state_pb2.STATE_CANCELLING
        job = await jobs.until(job)
    assert job.state == state_pb2.STATE_CANCELLED
    (attempt,) = await jobs.attempts(job)
    assert (attempt.outcome, attempt.exit_code) == (subjob_pb2.ATTEMPT_OUTCOME_CANCELLED, 3)
    assert b"told" in await jobs.log(job)


async def test_a_program_that_does_not_listen_is_killed_with_all_its_children(jobs):
    script = "trap '' TERM; (trap '' TERM; sleep 60) & echo ready; wait; sleep 60"
    limits = Limits(grace_seconds=0.5)
    async with jobs.worker("bash", "-c", script, limits=limits):
        job = await jobs.submit()
        await jobs.log_has(job, b"ready")
        await jobs.cancel(job)
        job = await jobs.until(job)
    assert job.state == state_pb2.STATE_CANCELLED


async def test_a_program_that_ends_before_it_is_told_keeps_its_own_outcome(jobs):
    async with jobs.worker("bash", "-c", "sleep 0.4; exit 5"):
        job = await jobs.submit()
        await jobs.until(job, state_pb2.STATE_RUNNING)
        await asyncio.sleep(0.38)
        await jobs.cancel(job)
        job = await jobs.until(job)
    assert job.state in {state_pb2.STATE_FAILED, state_pb2.STATE_CANCELLED}
    (attempt,) = await jobs.attempts(job)
    if job.state == state_pb2.STATE_FAILED:
        assert attempt.exit_code == 5


# --- a server that says what the test wants ----------------------------------------------------------------------


class Told(worker_service_pb2_grpc.WorkerServiceServicer):
    """Hands out one lease, and notes what becomes of it."""

    def __init__(self) -> None:
        self.leases = [_lease()]
        self.directive = worker_lease_pb2.DIRECTIVE_GO_ON
        self.beat_error: str = ""
        self.log = b""
        self.ended: asyncio.Queue[str] = asyncio.Queue()
        self.refuse_logs = 0

    async def Acquire(self, request, context):
        if not self.leases:
            await asyncio.sleep(0.2)
        leases, self.leases = self.leases, []
        return worker_lease_pb2.AcquireResponse(
            leases=leases, heartbeat_interval=Duration(nanos=100_000_000), session_ttl=Duration(seconds=5)
        )

    async def Heartbeat(self, request, context):
        if self.beat_error:
            await _abort(context, grpc.StatusCode.FAILED_PRECONDITION, self.beat_error)
        return worker_lease_pb2.HeartbeatResponse(directives=[self.directive for _ in request.leases])

    async def Complete(self, request, context):
        await self.ended.put("completed")
        return worker_settle_pb2.CompleteResponse(settlements=[worker_settle_pb2.Settlement()])

    async def Fail(self, request, context):
        await self.ended.put("cancelled" if request.failures[0].cancelled else "failed")
        return worker_settle_pb2.FailResponse(settlements=[worker_settle_pb2.Settlement()])

    async def Release(self, request, context):
        await self.ended.put("released")
        return worker_settle_pb2.ReleaseResponse(settlements=[worker_settle_pb2.Settlement()])

    async def AppendLog(self, request, context):
        if self.refuse_logs:
            self.refuse_logs -= 1
            # What became of it is not told: it was kept, or it was not.
            if self.refuse_logs % 2:
                self._keep(request)
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        self._keep(request)
        return worker_settle_pb2.AppendLogResponse(received=len(self.log))

    def _keep(self, request):
        assert request.offset <= len(self.log), "a gap"
        assert 0 < len(request.data) <= 65536
        self.log = self.log[: request.offset] + request.data


def _lease() -> worker_lease_pb2.Lease:
    return worker_lease_pb2.Lease(
        token="1.1.abc",
        job=job_pb2.Job(number=1, uid="u", api="jobs"),
        subjob=subjob_pb2.Subjob(job=1, queue="q", payload="null"),
        attempt=1,
    )


async def _abort(context, code, reason):
    status = status_pb2.Status(code=code.value[0], message=reason)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain="jobyard"))
    await context.abort(code, reason, (("grpc-status-details-bin", status.SerializeToString()),))


@pytest.fixture
async def told() -> AsyncIterator[tuple[Told, grpc.aio.Channel]]:
    service = Told()
    server = grpc.aio.server()
    worker_service_pb2_grpc.add_WorkerServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield service, channel
    await server.stop(0)


@contextlib.asynccontextmanager
async def working(channel, script, **plan):
    limits = Limits(grace_seconds=1.0)
    found = Plan(
        {"q": ("bash", "-c", script)},
        limits=limits,
        environment={"PATH": "/usr/bin:/bin"},
        **{"drain_seconds": 0.0, **plan},
    )
    worker = Worker(channel, (), found)
    running = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.leave()
        await asyncio.wait_for(running, 60)


async def ended(service: Told) -> str:
    return await asyncio.wait_for(service.ended.get(), 60)


async def until(condition, seconds=60.0):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


LISTENS = "trap 'echo told; exit 0' TERM; echo ready; while :; do sleep 0.05; done"


async def test_suspended_work_is_stopped_and_given_back(told):
    service, channel = told
    async with working(channel, LISTENS):
        await until(lambda: b"ready" in service.log)
        service.directive = worker_lease_pb2.DIRECTIVE_SUSPEND
        assert await ended(service) == "released"
    assert b"told" in service.log


@pytest.mark.parametrize("how", ["directive", "session"])
async def test_of_lost_work_nothing_is_reported_and_nothing_is_left_running(told, how, tmp_path):
    service, channel = told
    beats = tmp_path / "beats"
    async with working(channel, f"echo ready; while :; do date > {beats}; sleep 0.05; done"):
        await until(lambda: b"ready" in service.log)
        if how == "directive":
            service.directive = worker_lease_pb2.DIRECTIVE_LOST
        else:
            service.beat_error = "SESSION_UNKNOWN"
        last = 0
        async with asyncio.timeout(60):
            while last != (last := beats.stat().st_mtime_ns):
                await asyncio.sleep(0.5)
        service.leases, service.directive, service.beat_error = [_lease()], worker_lease_pb2.DIRECTIVE_GO_ON, ""
        await until(lambda: beats.stat().st_mtime_ns > last)
    # The only report is of the second lease, which the leaving worker gives back.
    assert await ended(service) == "released"
    assert service.ended.empty()


async def test_chunks_whose_answer_is_lost_are_sent_again_and_nothing_is_kept_twice(told):
    service, channel = told
    service.refuse_logs = 5
    async with working(channel, "seq 100000"):
        assert await ended(service) == "completed"
    assert service.log == b"".join(b"%d\n" % number for number in range(1, 100_001))


async def test_a_leaving_worker_lets_work_end_for_a_while(told):
    service, channel = told
    async with working(channel, "echo ready; sleep 0.5", drain_seconds=60.0):
        await until(lambda: b"ready" in service.log)
    assert await ended(service) == "completed"


async def test_told_twice_it_does_not_wait(told):
    service, channel = told
    async with working(channel, "echo ready; sleep 60", drain_seconds=60.0) as worker:
        await until(lambda: b"ready" in service.log)
        worker.leave()
    assert await ended(service) == "released"
