"""Bad input of every kind gets a clear 4xx that names the field, over REST and gRPC alike; nothing gets a 5xx."""

import http.client
import json
from collections.abc import Iterator
from urllib.parse import quote_from_bytes

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobyard.jobs.v1 import job_service_pb2, job_submit_pb2, worker_service_pb2
from support.running import Server

DATA_ONE = "/ghibli-rest/v2/job-manager/jobs"
JOBS = "/jobyard/v1/jobs"
BODY_LIMIT = 4 * 1024 * 1024

# What a caller can get wrong, and the word that the answer must hold.
WRONG = [
    ("malformed JSON", JOBS, b'{"queue": ', "JSON"),
    ("malformed JSON, Data One", DATA_ONE, b'{"contractName": "a",', "JSON"),
    ("not an object", DATA_ONE, b"[]", "object"),
    ("a wrong type", JOBS, b'{"queue": 7}', "queue"),
    ("a wrong type, deep", JOBS, b'{"subjobs": [{"key": {}}]}', "subjobs[0].key"),
    ("a number out of range", JOBS, b'{"priority": 99999999999}', "priority"),
    ("a broken rule", JOBS, b'{"priority": 10}', "priority"),
    ("a broken rule in a map", JOBS, json.dumps({"labels": {"k" * 64: "v"}}).encode(), "labels"),
    ("an unknown field", JOBS, b'{"quueue": "a"}', "quueue"),
    ("an unknown field, Data One", DATA_ONE, b'{"contractName":"a","actionName":"b","extIpid":"c"}', "extIpid"),
    ("a missing field, Data One", DATA_ONE, b'{"contractName": "a"}', "actionName"),
    ("the same member twice", JOBS, b'{"queue": "a", "queue": "b"}', "queue"),
    ("invalid UTF-8", JOBS, b'{"queue": "\xff\xfe"}', "UTF-8"),
    ("a lone surrogate", JOBS, rb'{"queue": "\ud800"}', "surrogate"),
    ("an unknown enum value", JOBS, b'{"mode": "MODE_SOMETIMES"}', "mode"),
    ("deep nesting", JOBS, b'{"payload": ' + b"[" * 5000 + b"]" * 5000 + b"}", "nested"),
    ("deep nesting of anything", JOBS, b"[" * 100_000, "nested"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("bad-input"), "--dev", JOBYARD_DEV_WORKER="false") as running:
        yield running


@pytest.fixture(scope="module")
def channel(server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.grpc, options=[("grpc.max_send_message_length", -1)]) as open_channel:
        yield open_channel


def ask(server: Server, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(server.rest, timeout=60)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        if body is not None:
            connection.send(body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize(("path", "body", "word"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_rest_names_what_is_wrong(server, path, body, word):
    status, text = ask(server, "POST", path, body, Content_Type="application/json")
    assert status == 400, text
    error = json.loads(text)["error"]
    assert error["code"] == 400
    assert word in json.dumps(error, ensure_ascii=False)
    assert "Traceback" not in text.decode()


def test_rest_refuses_a_body_over_the_limit(server):
    body = b'{"queue": "a", "payload": "' + b"x" * BODY_LIMIT + b'"}'
    status, text = ask(server, "POST", JOBS, body, Content_Type="application/json")
    assert status == 413
    assert json.loads(text)["error"]["message"]


@pytest.mark.parametrize("query", ["page_size=x", "page_size=-1", "page_sizes=1", "page_token=damaged", "filter=a%3D"])
def test_rest_names_the_wrong_parameter(server, query):
    status, text = ask(server, "GET", f"{JOBS}?{query}")
    assert status == 400
    assert query.split("=")[0].rstrip("s") in text.decode()


def call(channel: grpc.Channel, method: str, request: bytes) -> grpc.RpcError | None:
    """Call a method with bytes of our own choice; the error, if any."""
    try:
        channel.unary_unary(f"/jobyard.jobs.v1.{method}")(request, timeout=60)
    except grpc.RpcError as error:
        return error
    return None


def details_of(error: grpc.RpcError) -> tuple[error_details_pb2.ErrorInfo, error_details_pb2.BadRequest]:
    metadata = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
    return info, bad


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (job_submit_pb2.SubmitJobRequest(priority=10), "priority"),
        (job_submit_pb2.SubmitJobRequest(labels={"": "v"}), "labels"),
        (job_submit_pb2.SubmitJobRequest(payload="{"), "payload"),
        (job_submit_pb2.SubmitJobRequest(subjobs=[{"payload": "{}"}, {"key": "k" * 256}]), "subjobs[1].key"),
        (job_submit_pb2.SubmitJobRequest(payload="[" * 5000 + "]" * 5000), "payload"),
    ],
    ids=["range", "map", "free JSON", "repeated", "depth"],
)
def test_grpc_names_the_field(channel, request_, field):
    error = call(channel, "JobService/SubmitJob", request_.SerializeToString())
    assert error is not None
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    info, bad = details_of(error)
    assert (info.reason, info.domain) == ("INVALID_FIELD", "jobyard")
    assert any(violation.field.startswith(field) for violation in bad.field_violations)


def test_grpc_refuses_bytes_that_are_no_message(channel):
    error = call(channel, "JobService/SubmitJob", b"\xff\xff\xff")
    assert error is not None
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_grpc_refuses_invalid_utf8(channel):
    error = call(channel, "JobService/SubmitJob", b"\x1a\x02\xff\xfe")
    assert error is not None
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_grpc_refuses_a_message_over_the_limit(channel):
    request = job_submit_pb2.SubmitJobRequest(payload='"' + "x" * (BODY_LIMIT + 1) + '"')
    error = call(channel, "JobService/SubmitJob", request.SerializeToString())
    assert error is not None
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


UNARY = [
    f"{service.full_name.removeprefix('jobyard.jobs.v1.')}/{method.name}"
    for file in (job_service_pb2, worker_service_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
    if not method.server_streaming and method.name != "Acquire"  # a valid Acquire may wait a minute
]
OUR_FAULT = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
SOME_MEMBERS = """
    queue payload subjobs labels priority mode retry expires_after idempotency_key a contractName actionName
    actionVariables extIPID token completions session job api
"""
members = st.sampled_from(SOME_MEMBERS.split())
bodies = st.binary(max_size=200) | st.dictionaries(members, json_values, max_size=5).map(
    lambda value: json.dumps(value).encode()
)
pieces = st.binary(max_size=12).map(quote_from_bytes) | st.text("/:*%+&=;{}[]@!$'()~.-_aB7", max_size=12)
paths = st.builds(
    lambda start, rest, query: start + "/".join(rest) + ("?" + "&".join(query) if query else ""),
    st.sampled_from(["/", JOBS, f"{JOBS}/", f"{JOBS}:", DATA_ONE, "/jobyard/v1/definitions/", "/jobyard/v1/work:"]),
    st.lists(pieces, max_size=3),
    st.lists(st.builds("{}={}".format, members | pieces, pieces), max_size=3),
)
FUZZ = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@settings(FUZZ, max_examples=1500)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]),
    path=paths,
    body=st.none() | bodies,
    media=st.sampled_from(["application/json", "text/plain", "application/x-www-form-urlencoded", "", "nonsense"]),
)
def test_rest_never_answers_a_5xx(server, method, path, body, media):
    status, text = ask(server, method, path, body, Content_Type=media)
    assert status < 500, text


@settings(FUZZ, max_examples=1500)
@given(method=st.sampled_from(UNARY), request=st.binary(max_size=100))
def test_grpc_is_never_at_fault(channel, method, request):
    error = call(channel, method, request)
    assert error is None or error.code() not in OUR_FAULT, f"{error.code()}: {error.details()}"
