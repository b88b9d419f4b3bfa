"""The DMI role over HTTP: jobs of both generations, run by workers, and everything that is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import grpc
import pytest

from apis.ncmp.workers import producers, seen
from apis.ncmp.yard import Answer, Yard, eventually
from jobyard.jobs.v1 import executor_pb2, executor_service_pb2, executor_service_pb2_grpc
from jobyard.ncmp.v1 import (
    data_job_pb2,
    dmi_access_pb2,
    dmi_create_pb2,
    dmi_service_pb2_grpc,
)

pytestmark = pytest.mark.timeout(300)
PATCH = {"Content-Type": "application/3gpp-json-patch+json"}
ODD = "p/#: é%"
"""A data producer whose name has to be percent-encoded everywhere."""
WRITE = {"path": "/S=1/M=1#attributes/a", "op": "replace", "operationId": "1", "value": None}


@pytest.fixture(scope="module")
def dmi(tmp_path_factory) -> Iterator[Yard]:
    """A server that plays a DMI service, with a worker for its data producers."""
    yard = Yard(tmp_path_factory.mktemp("dmi"), JOBYARD_PUBLIC_URL="http://dmi.example")
    with yard.server:
        put_executor(yard, id="elsewhere", queue="own-queue")
        put_executor(yard, id="reader", spec='{"write": false}')
        put_executor(yard, id="neither", disabled=True)
        with producers(yard.server, "ncmp/p", f"ncmp/{ODD}", "own-queue"):
            yield yard


def put_executor(yard: Yard, **fields: Any) -> None:
    with grpc.insecure_channel(yard.server.grpc) as channel:
        executor = executor_pb2.Executor(api="ncmp", kind="data-producer", **fields)
        stub = executor_service_pb2_grpc.ExecutorServiceStub(channel)
        stub.PutExecutor(executor_service_pb2.PutExecutorRequest(executor=executor))


def create(yard: Yard, body: Any, path: str = "/dmi/v1/cmwriteJob?destination=d1", **headers: str) -> Answer:
    return yard.ask("POST", path, body, headers=headers)


def created(yard: Yard, body: Any, path: str = "/dmi/v1/cmwriteJob?destination=d1", **headers: str) -> str:
    answer = create(yard, body, path, **headers)
    assert answer.status == 200, answer
    id_ = answer.json["subJobId"]
    assert isinstance(id_, str)
    return id_


def job_of(producer: str, *operations: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"dataProducerId": producer, "dataJobId": "j", "data": operations or (WRITE,), **members}


def current(producer: str, id_: str) -> str:
    return f"/dmi/v1/cmwriteJob/dataProducer/{quote(producer, safe='')}/dataProducerJob/{id_}"


def status(yard: Yard, producer: str, id_: str) -> str:
    answer = yard.ask("GET", current(producer, id_) + "/status")
    assert answer.status == 200, answer
    assert answer.json.keys() == {"status"}
    return str(answer.json["status"])


def ended(yard: Yard, producer: str, id_: str) -> str:
    over = {"FINSHED", "FAILED", "PARTIALLY_FAILED", "CANCELLED"}
    return str(eventually(lambda: (found := status(yard, producer, id_)) in over and found, 20))


def test_a_producer_without_data_jobs_is_a_501_without_a_body(dmi: Yard) -> None:
    asked = [
        ("POST", "/dmi/v1/cmwriteJob?destination=001", b""),
        ("POST", "/dmi/v1/cmreadJob?destination=001", b""),
        ("POST", "/dmi/v1/dataJob/j", b""),
        ("GET", "/dmi/v1/cmwriteJob/dataProducer/unheard/dataProducerJob/data-job-id%7D/status", None),
        ("GET", "/dmi/v1/cmwriteJob/dataProducer/unheard/dataProducerJob/1/result?destination=d", None),
        ("GET", "/dmi/v1/dataJob/j/dataProducerJob/1/status?dataProducerId=unheard", None),
        ("POST", "/dmi/v1/cmwriteJob", json.dumps(job_of("neither")).encode()),
        ("POST", "/dmi/v1/cmwriteJob", json.dumps(job_of("reader")).encode()),
        ("GET", current("neither", "1") + "/status", None),
    ]
    for method, path, body in asked:
        answer = dmi.ask(method, path, body, headers=PATCH)
        assert (answer.status, answer.body) == (501, b""), path
        assert "content-type" not in answer.headers


def test_what_is_created_is_told_and_never_the_same_twice(dmi: Yard) -> None:
    body = job_of("p", dataAcceptType="a", dataContentType="c", destination="d1") | {"data": []}
    first, second = create(dmi, body), create(dmi, body, **PATCH)
    for answer in (first, second):
        assert answer.status == 200
        assert answer.json == {
            "subJobId": answer.json["subJobId"],
            "dmiServiceName": "http://dmi.example",
            "dataProducerId": "p",
        }
    assert int(second.json["subJobId"]) > int(first.json["subJobId"])
    assert ended(dmi, "p", second.json["subJobId"]) == "FINSHED"


def test_a_request_sent_again_under_its_key_is_the_same_job(dmi: Yard) -> None:
    key = {"Idempotency-Key": "once"}
    first = created(dmi, job_of("p"), **key)
    assert created(dmi, job_of("p"), **key) == first
    assert create(dmi, job_of("p", WRITE, WRITE), **key).status == 409
    assert created(dmi, job_of("p")) != first


def test_requests_and_results_keep_every_byte(dmi: Yard) -> None:
    body = (
        '{ "data" : [ {"path":"/a","op":"add","operationId":"é\\u00e9","value":1.10e5, "more":[]} ],\n\t'
        '"cmHandleProperties":{"x":null},"dataProducerId":"p" }\r\n'
    ).encode()
    id_ = created(dmi, body, **PATCH)
    assert ended(dmi, "p", id_) == "FINSHED"
    assert seen(dmi.server, id_) == body
    answer = dmi.ask("GET", current("p", id_) + "/result?destination=d")
    assert answer.headers["content-type"] == "application/json"
    assert answer.body.decode() == ' [\n {\n  "operationId": "éé",\n  "statusCode": 0\n }\n]\n'


def test_the_first_generation(dmi: Yard) -> None:
    name = quote("j/#:1", safe="")
    for path in (f"writeJob/{name}", f"dataJobWrite/{name}", f"dataJob/{name}", f"dataJob/{name}/subJob"):
        answer = create(dmi, {"dataProducerId": ODD, "data": [WRITE]}, f"/dmi/v1/{path}", **PATCH)
        assert answer.status == 200, path
        id_ = answer.json["dataProducerJobId"]
        assert id_ == answer.json["subJobId"]
    old = f"/dmi/v1/dataJob/{name}/dataProducerJob/{id_}"
    producer = {"dataProducerId": ODD}
    assert ended(dmi, ODD, id_) == "FINSHED"
    assert dmi.ask("GET", f"{old}/status", query=producer).json == {"status": "FINSHED"}
    result = dmi.ask("GET", f"{old}/result", query=producer | {"destination": "d"})
    assert result.json == [{"operationId": "1", "statusCode": 0}]
    missing = [
        dmi.ask("GET", f"{old}/status"),
        dmi.ask("GET", f"{old}/status", query={"dataProducerId": ""}),
        dmi.ask("GET", f"{old}/result", query=producer),
    ]
    assert [answer.status for answer in missing] == [400, 400, 400]
    other = dmi.ask("GET", f"/dmi/v1/dataJob/other/dataProducerJob/{id_}/status", query=producer)
    assert other.status == 404


def test_jobs_are_found_under_their_own_producer_only(dmi: Yard) -> None:
    id_ = created(dmi, job_of("p"))
    assert dmi.ask("GET", current(ODD, id_) + "/status").status == 404
    for name in ("999999", "0", "-1", "x", "9" * 30, "%E0%A5%A7"):
        answer = dmi.ask("GET", current("p", name) + "/status")
        assert (answer.status, answer.json["status"]) == (404, "404"), name


def test_statuses_of_jobs_that_wait_run_fail_and_are_cancelled(dmi: Yard) -> None:
    waiting = created(dmi, job_of("nobody-works-for-it"))
    assert status(dmi, "nobody-works-for-it", waiting) == "NOT_STARTED"
    early = dmi.ask("GET", current("nobody-works-for-it", waiting) + "/result?destination=d")
    assert (early.status, early.json["status"]) == (409, "409")
    assert dmi.ask("DELETE", current("nobody-works-for-it", waiting)).status == 202
    assert status(dmi, "nobody-works-for-it", waiting) == "CANCELLED"
    failing = created(dmi, job_of("p", {"path": "/a", "op": "fail"}))
    assert ended(dmi, "p", failing) == "FAILED"
    running = created(dmi, job_of("p", {"path": "/a", "op": "wait"}))
    eventually(lambda: status(dmi, "p", running) == "RUNNING", 20)
    cancelled = dmi.ask("DELETE", current("p", running))
    assert (cancelled.status, cancelled.json) == (202, {"status": "CANCELLING"})
    assert ended(dmi, "p", running) == "CANCELLED"


def test_a_producer_may_have_a_queue_of_another_name(dmi: Yard) -> None:
    assert ended(dmi, "elsewhere", created(dmi, job_of("elsewhere"))) == "FINSHED"


@pytest.mark.parametrize(
    "operations",
    [
        # The published examples: no list, an attribute that is no list, a nested scope.
        {"op": "read", "operationId": 1, "path": "S=1", "attributes": "userLabel", "scope": {"scopeTyp": "BASE_ONLY"}},
        [{"op": "read", "path": "/a", "filter": ["a", "b"], "scopeLevel": "1", "fields": "x"}],
        [{"op": "read", "path": "/a", "scopeType": "BASE_NTH_LEVEL", "scopeLevel": 2, "cmHandleProperties": {}}],
    ],
)
def test_read_jobs_are_taken_in_every_spelling(dmi: Yard, operations: Any) -> None:
    body = {"dataproducerid": "reader", "data": operations, "unknown": 1}
    for path in ("/dmi/v1/cmreadJob", "/dmi/v1/cmreadJob?destination=", "/dmi/v1/readJob/j", "/dmi/v1/dataJobRead/j"):
        assert create(dmi, body, path, **PATCH).status == 200, path
    # The first drafts tell by the operations which it is: this producer takes no write jobs.
    assert create(dmi, body, "/dmi/v1/dataJob/j").status == 200
    assert create(dmi, {**body, "data": [WRITE]}, "/dmi/v1/dataJob/j").status == 501


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"{", "cannot be read"),
        (b"[]", "cannot be read"),
        (b"null", "cannot be read"),
        (b'{"dataProducerId": "p", "data": []} x', "cannot be read"),
        (b'{"dataProducerId": "p", "data": [{"path": "\xff", "op": "add"}]}', "UTF-8"),
        (b"[" * 100_000, "cannot be read"),
        ({"data": []}, "dataProducerId"),
        ({"data": [], "dataProducerId": ""}, "dataProducerId"),
        ({"data": [], "dataProducerId": None}, "dataProducerId"),
        ({"data": [], "dataProducerId": 1}, "dataProducerId"),
        ({"data": [], "dataProducerId": "p" * 200}, "dataProducerId"),
        ({"dataProducerId": "p"}, "data: is missing"),
        ({"dataProducerId": "p", "data": None}, "data: is missing"),
        ({"dataProducerId": "p", "data": "x"}, "data"),
        ({"dataProducerId": "p", "data": [WRITE, {"op": "add"}]}, "data[1].path: is missing"),
        ({"dataProducerId": "p", "data": [{"path": "/a"}]}, "data[0].op: is missing"),
        ({"dataProducerId": "p", "data": [{"path": 1, "op": "add"}]}, "data[0].path"),
        ({"dataProducerId": "p", "data": [1]}, "data[0]"),
        ({"dataProducerId": "p", "data": [], "destination": 1}, "destination"),
    ],
)
def test_requests_that_cannot_be_are_refused_by_name(dmi: Yard, body: Any, word: str) -> None:
    answer = create(dmi, body)
    assert (answer.status, answer.json["status"]) == (400, "400")
    assert word in answer.json["message"]


def test_manners_of_http(dmi: Yard) -> None:
    assert create(dmi, b"<x/>", **{"Content-Type": "text/xml"}).status == 415
    refused = dmi.ask("PUT", "/dmi/v1/cmwriteJob", b"{}")
    assert (refused.status, refused.headers["allow"]) == (405, "OPTIONS, POST")
    unknown = dmi.ask("GET", "/dmi/v1/nothing")
    assert (unknown.status, unknown.json["status"]) == (404, "404")
    document = dmi.ask("GET", "/openapi/ncmp-dmi.json").json
    assert "content" not in document["components"]["responses"]["501"]
    assert "content" in document["components"]["responses"]["400"]


def test_read_results_stay_here_without_a_place_of_their_own(dmi: Yard) -> None:
    read = {"path": "/a", "op": "read", "operationId": "7"}
    id_ = created(dmi, job_of("p", read), "/dmi/v1/cmreadJob?destination=topic-or-bucket")
    assert ended(dmi, "p", id_) == "FINSHED"
    answer = dmi.ask("GET", current("p", id_) + "/result?destination=topic-or-bucket")
    uri = answer.json["resulturi"]
    assert uri.startswith("http://dmi.example/s3-bucket/topic-or-bucket/default/")
    path = uri.removeprefix("http://dmi.example")
    kept = dmi.ask("GET", path)
    assert (kept.status, kept.json) == (200, [{"operationId": "7", "statusCode": 0}])
    listed = dmi.ask("GET", "/s3-bucket/topic-or-bucket").json
    assert listed["bucketId"] == "topic-or-bucket"
    assert {"key": path.split("/", 3)[3], "size": len(kept.body), "uri": uri} in listed["results"]
    assert dmi.ask("GET", path.replace("topic-or-bucket", "other")).status == 404
    assert dmi.ask("GET", path.replace("default", "nobody")).status == 404
    assert dmi.ask("GET", "/s3-bucket/empty").json == {"bucketId": "empty", "results": []}


@pytest.fixture
def stub(dmi: Yard) -> Iterator[dmi_service_pb2_grpc.DmiJobServiceStub]:
    with grpc.insecure_channel(dmi.server.grpc) as channel:
        yield dmi_service_pb2_grpc.DmiJobServiceStub(channel)


def test_messages_are_as_good_as_json(dmi: Yard, stub: dmi_service_pb2_grpc.DmiJobServiceStub) -> None:
    metadata = data_job_pb2.DataJobMetadata(destination="d", data_accept_type="a")
    first = dmi_create_pb2.CreateWriteJobRequest(data_job_id="j", data_producer_id="p", metadata=metadata)
    first.operations.add(path="/a", op="add", operation_id="1", value=b'{"x": 1.0}')
    second = dmi_create_pb2.CreateWriteJobRequest()
    second.operations.add(path="/b", op="remove")
    answer = stub.CreateWriteJob(iter([first, second]))
    assert (answer.data_producer_id, answer.dmi_service_name) == ("p", "http://dmi.example")
    assert ended(dmi, "p", answer.sub_job_id) == "FINSHED"
    name = dmi_access_pb2.GetJobStatusRequest(data_producer_id="p", data_producer_job_id=answer.sub_job_id)
    assert stub.GetJobStatus(name).status == data_job_pb2.DATA_JOB_STATUS_FINISHED
    assert json.loads(seen(dmi.server, answer.sub_job_id)) == {
        "destination": "d",
        "dataAcceptType": "a",
        "dataContentType": None,
        "dataProducerId": "p",
        "dataJobId": "j",
        "data": [
            {"path": "/a", "op": "add", "operationId": "1", "value": {"x": 1.0}},
            {"path": "/b", "op": "remove"},
        ],
    }


def test_read_jobs_as_messages(dmi: Yard, stub: dmi_service_pb2_grpc.DmiJobServiceStub) -> None:
    read = dmi_create_pb2.CreateReadJobRequest(data_producer_id="p")
    read.operations.add(path="/a", op="read", attributes=["x"], scope_level=0, scope_type="BASE_ALL")
    id_ = stub.CreateReadJob(iter([read])).sub_job_id
    assert ended(dmi, "p", id_) == "FINSHED"
    assert json.loads(seen(dmi.server, id_))["data"] == [
        {"path": "/a", "op": "read", "attributes": ["x"], "scopeType": "BASE_ALL", "scopeLevel": 0}
    ]


def test_messages_that_cannot_be(stub: dmi_service_pb2_grpc.DmiJobServiceStub) -> None:
    broken = dmi_create_pb2.CreateWriteJobRequest(data_producer_id="p")
    broken.operations.add(path="/a", op="add", value=b"{")
    for messages, code in (([broken], grpc.StatusCode.INVALID_ARGUMENT), ([], grpc.StatusCode.UNIMPLEMENTED)):
        with pytest.raises(grpc.RpcError) as caught:
            stub.CreateWriteJob(iter(messages))
        assert caught.value.code() is code
