"""ContentService: large results kept by workers, read by their users, over gRPC and REST."""

import io
import json
import secrets

import aiohttp
import pytest
from google.api import httpbody_pb2

from jobyard.jobs.v1 import (
    content_service_pb2,
    content_service_pb2_grpc,
    job_access_pb2,
    job_submit_pb2,
    worker_lease_pb2,
    worker_service_pb2_grpc,
    worker_settle_pb2,
)
from support.yarding import refused

pytestmark = pytest.mark.timeout(300)

LARGE = json.dumps(["ä\n" * 100] * 9000, ensure_ascii=False).encode() + b"\n"


class Worker:
    """A worker with one lease of a job whose results may be large."""

    def __init__(self, jobs) -> None:
        self.jobs = jobs
        self.work = worker_service_pb2_grpc.WorkerServiceStub(jobs.channel)
        self.contents = content_service_pb2_grpc.ContentServiceStub(jobs.channel)

    async def lease(self, limit: int = 4 * 1024 * 1024):
        labels = {"jobyard.result-bytes": str(limit)} if limit else {}
        request = job_submit_pb2.SubmitJobRequest(queue=self.jobs.queue, payload='{"x": 1.0}', labels=labels)
        await self.jobs.stub.SubmitJob(request)
        asked = worker_lease_pb2.AcquireRequest(
            session=secrets.token_hex(8), worker="test", queues=[self.jobs.queue], limit=1
        )
        return (await self.work.Acquire(asked)).leases[0]

    async def put(self, token: str, data: bytes) -> int:
        pieces = [data[at : at + 100_000] for at in range(0, len(data), 100_000)]
        messages = [
            content_service_pb2.PutResultRequest(token=token, content=httpbody_pb2.HttpBody(data=piece))
            for piece in pieces
        ]
        return (await self.contents.PutResult(iter(messages))).received

    async def complete(self, token: str):
        completion = worker_settle_pb2.Completion(token=token, result_kept=True)
        answer = await self.work.Complete(worker_settle_pb2.CompleteRequest(completions=[completion]))
        return answer.settlements[0]


@pytest.fixture
def worker(jobs) -> Worker:
    return Worker(jobs)


async def result(worker: Worker, job: int) -> bytes:
    request = content_service_pb2.GetResultRequest(job=str(job))
    return b"".join([piece.content.data async for piece in worker.contents.GetResult(request)])


async def test_a_large_result_comes_back_byte_for_byte(server, worker: Worker):
    lease = await worker.lease()
    assert lease.result_limit == 4 * 1024 * 1024
    assert await worker.put(lease.token, b"[]" * 400_000) == 800_000
    assert await worker.put(lease.token, LARGE) == len(LARGE), "what is sent again replaces what was sent before"
    for _ in range(2):
        assert not (await worker.complete(lease.token)).HasField("error")
    number = lease.job.number
    asked = job_access_pb2.ListSubjobsRequest(job=str(number))
    subjob = (await worker.jobs.stub.ListSubjobs(asked)).subjobs[0]
    assert (subjob.result, subjob.result_bytes) == ("null", len(LARGE))
    assert await result(worker, number) == LARGE
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{server.url}/jobyard/v1/jobs/{number}/subjobs/0/result") as answer,
    ):
        assert (answer.content_type, await answer.read()) == ("application/json", LARGE)


async def test_a_payload_is_read_by_whoever_holds_the_lease(worker: Worker):
    lease = await worker.lease()
    request = content_service_pb2.GetPayloadRequest(token=lease.token)
    assert b"".join([piece.content.data async for piece in worker.contents.GetPayload(request)]) == b'{"x": 1.0}'
    request.token = lease.token[:-1] + ("0" if lease.token[-1] != "0" else "1")
    assert (await refused(worker.contents.GetPayload(request).read()))[1] == "LEASE_LOST"


async def test_results_are_bounded_and_have_to_be_there(worker: Worker):
    lease = await worker.lease(limit=0)
    assert lease.result_limit == 1024 * 1024
    assert (await refused(worker.put(lease.token, b"1" * 1_100_000)))[1] == "PAYLOAD_TOO_LARGE"
    settlement = await worker.complete(lease.token)
    assert "result_kept" in settlement.error.message


async def test_results_come_over_rest_too(server, worker: Worker):
    lease = await worker.lease()
    url, headers = f"{server.url}/jobyard/v1/work:result", {"Jobyard-Lease": lease.token}
    async with aiohttp.ClientSession() as session:
        json_ = {"Content-Type": "application/json"}
        async with session.post(url, data=io.BytesIO(LARGE), headers=headers | json_) as answer:
            assert (answer.status, await answer.json()) == (200, {"received": str(len(LARGE))})
        async with session.post(url, data=io.BytesIO(LARGE), headers=json_) as answer:
            assert answer.status == 400
    await worker.complete(lease.token)
    assert await result(worker, lease.job.number) == LARGE
