"""Nobody learns of another tenant's jobs, or changes them: every rpc of every API is called with their names."""

import asyncio
import contextlib
import time

import grpc
import pytest
from google.protobuf import descriptor_pool, message_factory

from jobyard.jobs.v1 import job_access_pb2, job_pb2, job_service_pb2_grpc, job_submit_pb2, job_watch_pb2, state_pb2
from jobyard_server import main
from jobyard_server.callers.authentication import Verified
from jobyard_server.domain.principal import Principal
from jobyard_server.settings import load

POOL = descriptor_pool.Default()
METHODS = {
    f"/{service.name}/{method.name}": method
    for api in main.APIS
    for service in api.services
    for method in POOL.FindServiceByName(service.name).methods
}
MARK = "secret-of-the-north"
READ = "jobs.read"
PATIENCE = 1.5
"""Watches are left after so many seconds."""


class Tenants:
    """Knows everybody by tenant and permission."""

    async def verify(self, credential):
        tenant, _, permission = credential.value.partition(":")
        return Principal(f"user-of-{tenant}", tenant, permissions=frozenset({permission} if permission else ()))


@pytest.fixture(scope="module")
async def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tenants")
    (folder / "tokens.yaml").touch()
    settings = load(database=f"sqlite:///{folder / 'jobyard.db'}", auth_tokens=folder / "tokens.yaml", log_calls=False)
    parts = main.build(settings)
    parts.edge.authentication = Verified([Tenants()], Principal("anonymous", "default"))
    await parts.store.start()
    try:
        await parts.begin()
        parts.rpc.port = parts.rpc.server.add_insecure_port("127.0.0.1:0")
        await parts.rpc.server.start()
        yield parts
        await parts.rpc.server.stop(0)
    finally:
        await parts.store.stop()


@pytest.fixture(scope="module")
async def channel(parts):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{parts.rpc.port}") as channel:
        yield channel


def of(tenant, permission="*"):
    return (("authorization", f"Bearer {tenant}:{permission}"),)


@pytest.fixture(scope="module")
async def jobs(channel):
    """Two jobs of the north in every API."""
    now = time.time()
    made = [
        job_submit_pb2.ImportedJob(
            api=api.name,
            number=0,
            state=state_pb2.STATE_SUCCEEDED,
            message=f"{MARK} message",
            create_time={"seconds": int(now) - 60},
            update_time={"seconds": int(now) - 30},
            created_by=MARK,
            queue="q",
            display_name=f"{MARK} {api.name}",
            external_id=f"{MARK}-{api.name}-{number}",
        )
        for api in main.APIS
        for number in range(2)
    ]
    stub = job_service_pb2_grpc.JobServiceStub(channel)
    answer = await stub.ImportJobs(job_submit_pb2.ImportJobsRequest(jobs=made), metadata=of("north"), timeout=60)
    return list(answer.jobs)


def request_of(method, job):
    """A request that names a job wherever something can be named."""
    request = message_factory.GetMessageClass(method.input_type)()
    for field in method.input_type.fields:
        if job is None or field.is_repeated:
            continue
        if field.type == field.TYPE_STRING and field.name not in {"filter", "order_by", "page_token", "sort"}:
            setattr(request, field.name, job.external_id if field.name == "external_id" else job.uid)
        elif field.type == field.TYPE_INT64 and field.name not in {"offset", "start", "limit"}:
            setattr(request, field.name, job.number)
    return request


async def answers(channel, path, method, request, tenant, permission):
    """Everything that a call says, its error included."""
    call = getattr(channel, f"unary_{'stream' if method.server_streaming else 'unary'}")(path)
    said = b""
    try:
        # A stream may go on for ever.
        seconds = PATIENCE if method.server_streaming else 60.0
        ongoing = call(request.SerializeToString(), metadata=of(tenant, permission), timeout=seconds)
        if not method.server_streaming:
            return bytes(await ongoing)
        async for message in ongoing:
            said += bytes(message)
    except grpc.aio.AioRpcError as error:
        said += repr((error.code(), error.details(), error.trailing_metadata())).encode()
    return said


async def all_north(channel):
    stub = job_service_pb2_grpc.JobServiceStub(channel)
    answer = await stub.ListJobs(job_access_pb2.ListJobsRequest(page_size=1000), metadata=of("north", READ), timeout=60)
    return {job.uid: job.SerializeToString(deterministic=True) for job in answer.jobs}


async def test_no_rpc_tells_or_changes_what_another_tenant_has(parts, channel, jobs):
    before = await all_north(channel)
    assert set(before) >= {job.uid for job in jobs}
    turns = asyncio.Semaphore(8)

    async def one(path, method, job, tenant):
        async with turns:
            request = request_of(method, job)
            return path, await answers(channel, path, method, request, tenant, parts.rpc.methods[path].permission)

    # Each caller holds what its call asks for and nothing else: who holds everything may see every tenant.
    calls = [(path, method, job) for path, method in METHODS.items() for job in (None, jobs[0], *jobs[1::2])]
    said = await asyncio.gather(*(one(*call, "south") for call in calls))
    assert sorted({path for path, answer in said if MARK.encode() in answer}) == []
    assert [path for path, answer in said if b"StatusCode.PERMISSION_DENIED" in answer] == []
    assert sorted({path for path, answer in said if b"StatusCode.INTERNAL" in answer}) == []
    assert await all_north(channel) == before

    # The same questions are answered to the north itself, so they were the right ones.
    reading = [call for call in calls if call[1].GetOptions().idempotency_level == 1]
    told = {path for path, answer in await asyncio.gather(*(one(*call, "north") for call in reading))
            if MARK.encode() in answer}  # fmt: skip
    for name in ("jobs.v1.JobService/GetJob", "dataone.v1.JobService/ListJobs", "viya.v1.JobListService/FilterJobs"):
        assert f"/jobyard.{name}" in told


async def test_a_watch_tells_of_one_tenant(channel):
    stub = job_service_pb2_grpc.JobServiceStub(channel)

    async def watched(tenant, token):
        """The first job that a watch tells of."""
        request = job_watch_pb2.WatchJobsRequest(resume_token=token)
        async for message in stub.WatchJobs(request, metadata=of(tenant, READ), timeout=60):
            if message.HasField("event"):
                return message.event.job_uid
        return ""

    listed = await stub.ListJobs(job_access_pb2.ListJobsRequest(page_size=1), metadata=of("north", READ), timeout=60)
    watching = [asyncio.create_task(watched(tenant, listed.watch_token)) for tenant in ("north", "south")]
    submit = job_submit_pb2.SubmitJobRequest(queue="q", payload="1")
    # What the north does comes first, and is not what the south hears of.
    jobs = [
        (await stub.SubmitJob(submit, metadata=of(tenant, "jobs.submit"), timeout=60)).job.uid
        for tenant in ("north", "south")
    ]
    assert await asyncio.gather(*watching) == jobs


async def test_page_tokens_are_of_one_tenant(channel, jobs):
    stub = job_service_pb2_grpc.JobServiceStub(channel)
    first = await stub.ListJobs(job_access_pb2.ListJobsRequest(page_size=1), metadata=of("north", READ), timeout=60)
    assert first.next_page_token
    request = job_access_pb2.ListJobsRequest(page_size=1, page_token=first.next_page_token)
    assert (await stub.ListJobs(request, metadata=of("north", READ), timeout=60)).jobs
    with contextlib.suppress(grpc.aio.AioRpcError):
        assert not (await stub.ListJobs(request, metadata=of("south", READ), timeout=60)).jobs


async def test_idempotency_keys_are_of_one_tenant(channel):
    stub = job_service_pb2_grpc.JobServiceStub(channel)
    request = job_submit_pb2.SubmitJobRequest(queue="q", payload="1", idempotency_key="one key of all")
    found: dict[str, job_pb2.Job] = {}
    for tenant in ("north", "south", "north", "south"):
        job = (await stub.SubmitJob(request, metadata=of(tenant, "jobs.submit"), timeout=60)).job
        assert found.setdefault(tenant, job).uid == job.uid
    assert found["north"].uid != found["south"].uid
