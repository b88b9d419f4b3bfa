"""WorkerService over gRPC: leases, heartbeats, and batches whose items end each for itself."""

import asyncio
import secrets

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2

from jobyard.jobs.v1 import state_pb2, worker_lease_pb2, worker_service_pb2_grpc, worker_settle_pb2
from support.yarding import refused

pytestmark = pytest.mark.timeout(300)


class Worker:
    """A worker that does what the test says."""

    def __init__(self, jobs) -> None:
        self.stub = worker_service_pb2_grpc.WorkerServiceStub(jobs.channel)
        self.session = secrets.token_hex(8)
        self.queue = jobs.queue

    async def take(self, limit=1, wait=0.0):
        request = worker_lease_pb2.AcquireRequest(
            session=self.session,
            worker="test",
            queues=[self.queue],
            limit=limit,
            wait=Duration(seconds=int(wait), nanos=int(wait % 1 * 1e9)),
        )
        return await self.stub.Acquire(request)


@pytest.fixture
def worker(jobs) -> Worker:
    return Worker(jobs)


async def test_a_lease_carries_the_job_the_piece_and_the_rhythm(jobs, worker):
    job = await jobs.submit('{"x": 1.0}')
    answer = await worker.take()
    (lease,) = answer.leases
    assert (lease.job.uid, lease.subjob.payload, lease.attempt) == (job.uid, '{"x": 1.0}', 1)
    assert lease.subjob.state == lease.job.state == state_pb2.STATE_RUNNING
    assert answer.heartbeat_interval.ToNanoseconds() == 300_000_000
    assert answer.session_ttl.seconds == 6
    assert lease.HasField("expire_time")


async def test_acquire_waits_for_work_and_gets_it_at_once(jobs, worker):
    waiting = asyncio.create_task(worker.take(wait=20))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await jobs.submit()
    assert len((await asyncio.wait_for(waiting, 60)).leases) == 1
    assert len((await worker.take()).leases) == 0


async def test_items_of_a_batch_end_each_for_itself_and_the_same_end_may_be_sent_again(jobs, worker):
    for _ in range(3):
        await jobs.submit()
    leases = (await worker.take(limit=3)).leases
    lost = "999999999.1." + "0" * 24
    request = worker_settle_pb2.CompleteRequest(
        completions=[{"token": lease.token, "result": '{"n": 1}', "exit_code": 0} for lease in leases[:2]]
        + [{"token": lost}]
    )
    for _ in range(2):
        first, second, third = (await worker.stub.Complete(request)).settlements
        assert first.subjob_state == second.job_state == state_pb2.STATE_SUCCEEDED
        assert not first.HasField("error")
        info = error_details_pb2.ErrorInfo()
        assert third.error.details[0].Unpack(info)
        assert (third.error.code, info.reason) == (grpc.StatusCode.FAILED_PRECONDITION.value[0], "LEASE_LOST")
    failed = worker_settle_pb2.FailRequest(failures=[{"token": leases[0].token, "reason": "TOO_LATE"}])
    (late,) = (await worker.stub.Fail(failed)).settlements
    assert late.HasField("error")
    (given_back,) = (await worker.stub.Release(worker_settle_pb2.ReleaseRequest(tokens=[leases[2].token]))).settlements
    assert given_back.subjob_state == state_pb2.STATE_PENDING


async def test_a_result_that_is_to_be_put_is_not_taken_inline(jobs, worker):
    for _ in range(2):
        await jobs.submit()
    long, short = (await worker.take(limit=2)).leases
    most = '"' + "ä" * (512 * 1024 - 1) + '"'
    completions = [{"token": long.token, "result": f"{most} "}, {"token": short.token, "result": most}]
    request = worker_settle_pb2.CompleteRequest(completions=completions)
    refused_, settled = (await worker.stub.Complete(request)).settlements
    assert settled.subjob_state == state_pb2.STATE_SUCCEEDED
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert refused_.error.details[0].Unpack(info)
    assert refused_.error.details[1].Unpack(bad)
    assert (info.reason, bad.field_violations[0].field) == ("INVALID_FIELD", "completions[0].result")
    assert (await jobs.get(long.job)).state == state_pb2.STATE_RUNNING
    kept = worker_settle_pb2.FailRequest(failures=[{"token": long.token, "result_kept": True}])
    (refused_,) = (await worker.stub.Fail(kept)).settlements
    assert refused_.error.message.startswith("failures[0].result_kept: ")


async def test_ends_of_every_kind(jobs, worker):
    kinds = {
        state_pb2.STATE_FAILED: {"reason": "OWN_REASON", "message": "m"},
        state_pb2.STATE_PARTIALLY_FAILED: {"partial": True},
    }
    for state, fields in kinds.items():
        job = await jobs.submit()
        (lease,) = (await worker.take()).leases
        request = worker_settle_pb2.FailRequest(failures=[{"token": lease.token, **fields}])
        (settled,) = (await worker.stub.Fail(request)).settlements
        assert settled.subjob_state == state
        assert (await jobs.get(job)).state == state
    assert (await jobs.attempts(job))[0].reason == "PARTIALLY_FAILED"


async def test_a_heartbeat_answers_for_each_lease_and_carries_words(jobs, worker):
    job, other = await jobs.submit(), await jobs.submit()
    leases = (await worker.take(limit=2)).leases
    await jobs.cancel(other)
    request = worker_lease_pb2.HeartbeatRequest(
        session=worker.session,
        leases=[
            {"token": leases[0].token, "message": "half way"},
            {"token": leases[1].token},
            {"token": "1.1.forged"},
        ],
    )
    answer = await worker.stub.Heartbeat(request)
    assert list(answer.directives) == [
        worker_lease_pb2.DIRECTIVE_GO_ON,
        worker_lease_pb2.DIRECTIVE_CANCEL,
        worker_lease_pb2.DIRECTIVE_LOST,
    ]
    assert (await jobs.subjob(job)).message == "half way"
    request.session = "another-session"
    assert (await refused(worker.stub.Heartbeat(request)))[1] == "SESSION_UNKNOWN"


async def test_log_chunks_are_kept_once_and_gaps_are_refused(jobs, worker):
    job = await jobs.submit()
    (lease,) = (await worker.take()).leases
    first = worker_settle_pb2.AppendLogRequest(token=lease.token, offset=0, data=b"hello ")
    for _ in range(2):
        assert (await worker.stub.AppendLog(first)).received == 6
    gap = worker_settle_pb2.AppendLogRequest(token=lease.token, offset=99, data=b"x")
    assert (await refused(worker.stub.AppendLog(gap)))[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "LOG_GAP")
    await worker.stub.AppendLog(worker_settle_pb2.AppendLogRequest(token=lease.token, offset=6, data=b"\xff\0"))
    assert await jobs.log(job) == b"hello \xff\0"


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("Acquire", {"session": "short", "worker": "w", "queues": ["q"]}, "session"),
        ("Acquire", {"session": "long-enough", "worker": "w"}, "queues"),
        ("Acquire", {"session": "long-enough", "worker": "w", "queues": ["q"], "wait": {"seconds": 61}}, "wait"),
        ("Complete", {}, "completions"),
        ("Complete", {"completions": [{"token": "t", "result": "{"}]}, "completions[0].result"),
        ("Fail", {"failures": [{"token": "t", "reason": "lower case"}]}, "failures[0].reason"),
        ("Fail", {"failures": [{"token": "t", "result": "nope"}]}, "failures[0].result"),
        ("AppendLog", {"token": "t", "data": b""}, "data"),
        ("AppendLog", {"token": "t", "data": b"x" * 65537}, "data"),
    ],
)
async def test_wrong_requests_name_their_field(worker, method, request_, field):
    call = getattr(worker.stub, method)
    module = worker_lease_pb2 if method == "Acquire" else worker_settle_pb2
    message = getattr(module, f"{method}Request")(**request_)
    code, reason, fields = await refused(call(message))
    assert (code, reason, fields) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", [field])
