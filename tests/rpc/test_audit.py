"""Every call of every method that may change something leaves a line: who, what, how it ended. Changes leave events."""

import asyncio
import io
import itertools
import json

import pytest
from google.api import annotations_pb2
from google.protobuf import descriptor_pool, message_factory

from jobyard.jobs.v1 import error_reason_pb2, job_access_pb2, job_submit_pb2, job_watch_pb2
from jobyard_server import contract, main
from jobyard_server.apis.registration import Options
from jobyard_server.callers.authentication import Verified
from jobyard_server.domain.principal import Principal
from jobyard_server.observe.calls import CallLog, CallMetrics
from jobyard_server.rpc.edge import Edge, Limits
from jobyard_server.rpc.methods import Access
from jobyard_server.rpc.server import Rpc
from jobyard_server.store.store import Store
from jobyard_server.transcoding.backend import Call, RequestRefused, RpcFailure

POOL = descriptor_pool.Default()
METHODS = {
    f"/{service.name}/{method.name}": method
    for api in main.APIS
    for service in api.services
    for method in POOL.FindServiceByName(service.name).methods
}
CHANGING = {path: method for path, method in METHODS.items() if method.GetOptions().idempotency_level != 1}
NUMBERS = itertools.count(1)


class Everybody:
    async def verify(self, credential):
        user, _, permission = credential.value.partition(":")
        return Principal(user, "north", permissions=frozenset({permission})) if user != "forged" else None


@pytest.fixture(scope="module")
async def served(tmp_path_factory):
    options = Options(apis=frozenset(api.name for api in main.APIS))
    lines = io.StringIO()
    async with Store(f"sqlite:///{tmp_path_factory.mktemp('audit') / 'jobyard.db'}") as store:
        authentication = Verified([Everybody()], Principal("anonymous", "default"))
        log = CallLog(lines, people=False, every=False)
        edge = Edge(authentication, CallMetrics(main.CollectorRegistry()), Limits(unary_seconds=1), log)
        offered = [(each.name, each.register, each.build(store, options)) for api in main.APIS for each in api.services]
        rpc = Rpc(edge, offered, [file for api in main.APIS for file in api.files], contract.descriptors)
        yield rpc, lines


async def call(rpc, path, shown, request=None):
    """Call a method as REST does; how it ended, in the words of the log."""
    method = METHODS[path]
    name = f"r-{next(NUMBERS)}"
    metadata = (("x-request-id", name), *((("authorization", f"Bearer {shown}"),) if shown else ()))
    sent = Call(path, metadata, None, "ipv4:10.0.0.9:1")

    async def decode():
        if request is None:
            raise RequestRefused("BODY_MALFORMED", "no message")
        return request

    async def each():
        yield await decode()

    try:
        if method.client_streaming:
            answer = await rpc.backend.client_stream(sent, each())
        elif method.server_streaming:
            answer = [message async for message in rpc.backend.stream(sent, decode)]
        else:
            answer = (await rpc.backend.unary(sent, decode))[0]
    except (RpcFailure, RequestRefused):
        answer = None
    await asyncio.sleep(0)  # the line is written behind the answer
    return name, answer


def lines_of(lines, name):
    return [line for line in map(json.loads, lines.getvalue().splitlines()) if line["request_id"] == name]


def test_what_reads_and_what_changes_is_said_by_the_protos():
    assert len(CHANGING) > 90
    assert len(METHODS) - len(CHANGING) > 90
    for path, method in METHODS.items():
        rule = method.GetOptions().Extensions[annotations_pb2.http]
        if rule.get:
            assert path not in CHANGING, f"{path} is a GET and does not say that it has no side effects"
        elif rule.put or rule.delete or rule.patch:
            assert path in CHANGING, f"{path} changes things and says that it has no side effects"


@pytest.mark.parametrize("path", list(CHANGING))
async def test_a_line_for_each_call_whatever_came_of_it(served, path):
    rpc, lines = served
    method = rpc.methods[path]
    assert method.changes
    empty = message_factory.GetMessageClass(METHODS[path].input_type)()
    expected = {
        "": ("anonymous", None),
        "forged:": ("anonymous", None) if method.access is Access.OPEN else (None, "CREDENTIALS_INVALID"),
        "eve:other": ("eve", "PERMISSION_MISSING" if method.permission else None),
        f"ann:{method.permission}": ("ann", None),
    }
    for shown, (user, reason) in expected.items():
        for request in (None, empty):
            name, answer = await call(rpc, path, shown, request)
            (line,) = lines_of(lines, name)
            assert (line["method"], line["door"], line["changes"], line["peer"]) == (
                path,
                "rest",
                True,
                "ipv4:10.0.0.9:1",
            )
            assert line.get("user") == user
            assert (line["code"] == "OK") == (answer is not None)
            if reason is not None:
                assert (line["reason"], line["code"] == "OK") == (reason, False)
            if line["code"] not in {"OK", "CANCELLED"} and line.get("reason") != "BODY_MALFORMED":
                assert f"ERROR_REASON_{line['reason']}" in error_reason_pb2.ErrorReason.keys()  # noqa: SIM118 - no mapping
            assert "INTERNAL" not in line["code"]


@pytest.mark.parametrize("path", ["jobs.v1.JobService/GetJob", "viya.v1.JobListService/FilterJobs"])
async def test_calls_that_only_read_leave_none(served, path):
    rpc, lines = served
    path = f"/jobyard.{path}"
    empty = message_factory.GetMessageClass(METHODS[path].input_type)()
    name, _ = await call(rpc, path, f"ann:{rpc.methods[path].permission}", empty)
    assert lines_of(lines, name) == []


async def test_changes_of_jobs_leave_events_that_name_the_caller_and_the_request(served):
    rpc, _ = served
    path = "/jobyard.jobs.v1.JobService/"
    name, answer = await call(
        rpc, f"{path}SubmitJob", "ann:jobs.submit", job_submit_pb2.SubmitJobRequest(queue="q", payload="1")
    )
    job = answer.job.uid
    asked = [(name, "ann")]
    for verb, permission in (("SuspendJob", "control"), ("ResumeJob", "control"), ("CancelJob", "cancel")):
        request = message_factory.GetMessageClass(METHODS[f"{path}{verb}"].input_type)(job=job)
        name, answer = await call(rpc, f"{path}{verb}", f"{verb.lower()}:jobs.{permission}", request)
        assert answer is not None
        asked.append((name, verb.lower()))
    watch = job_watch_pb2.WatchJobsRequest(job=job, until_terminal=True)
    _, messages = await call(rpc, f"{path}WatchJobs", "ann:jobs.read", watch)
    told = {(message.event.request_id, message.event.actor) for message in messages if message.HasField("event")}
    assert told >= set(asked)
    _, answer = await call(rpc, f"{path}GetJob", "ann:jobs.read", job_access_pb2.GetJobRequest(job=job))
    assert answer.job.created_by == "ann"
