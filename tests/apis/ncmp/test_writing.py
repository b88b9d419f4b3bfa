"""Write jobs over HTTP: split, handed over, answered, and what goes wrong on the way."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.api import httpbody_pb2

from apis.ncmp.dmis import Dmi
from apis.ncmp.yard import METADATA, Yard, eventually, operation, target
from jobyard.ncmp.v1 import data_job_pb2, data_job_service_pb2_grpc, operation_pb2
from jobyard.ncmp.v1 import data_job_service_pb2 as pb
from support.ports import free_port


def test_a_job_is_split_by_service_and_producer(yard, dmi, other_dmi):
    assert (
        yard.register(
            dmi.url, target("ch-1", "p1", "some data producer id"), target("ch-2", "p2", "some data producer id")
        ).status
        == 200
    )
    assert yard.register(other_dmi.url, target("ch-3", "p3", "some data producer id", moduleSetTag="tag")).status == 200
    answer = yard.write("some-job-id", operation("p1"), operation("p2"), operation("p3"))
    assert answer.status == 200
    assert answer.json == [
        {"subJobId": "1", "dmiServiceName": dmi.url, "dataProducerId": "some data producer id"},
        {"subJobId": "1", "dmiServiceName": other_dmi.url, "dataProducerId": "some data producer id"},
    ]
    (one,), (other,) = dmi.heard("POST"), other_dmi.heard("POST")
    assert one.target == other.target == "/dmi/v1/cmwriteJob?destination=d1"
    assert one.json == {
        **METADATA,
        "dataProducerId": "some data producer id",
        "dataJobId": yard.name("some-job-id"),
        "data": [
            {"path": "p1", "op": "add", "moduleSetTag": None, "value": {"key": "some-value"}, "operationId": "1"},
            {"path": "p2", "op": "add", "moduleSetTag": None, "value": {"key": "some-value"}, "operationId": "1"},
        ],
    }
    assert [(op["path"], op["moduleSetTag"]) for op in other.json["data"]] == [("p3", "tag")]


def test_an_unknown_path_refuses_the_whole_job_and_nothing_is_sent(yard, dmi):
    yard.register(dmi.url, target("ch-1", "/a/b"))
    answer = yard.write("j", operation("/a/b/c"), operation("/x/y#q"), operation("/a/b"))
    assert answer.status == 404
    assert answer.json == {
        "status": "404",
        "message": "No matching cm handle found using alternate ids",
        "details": "cannot find a datanode with alternate id /x/y#q",
    }
    assert yard.ask("GET", f"/ranoam/cm/v1/dataJob/{yard.name('j')}").status == 404
    assert dmi.heard("POST") == []


@pytest.mark.parametrize("path", ["/a/b", "/a/b#q", "/a/b/#q", "/a/b/c/d#q", "/a/b/"])
def test_targets_cover_what_is_below_them(yard, dmi, path):
    yard.register(dmi.url, target("ch-1", "/a/b", "p"), target("ch-2", "/a/b/c2", "q"), target("/a/b/c", "/other"))
    assert [one["dataProducerId"] for one in yard.write("j", operation(path)).json] == ["p"]
    assert dmi.heard("POST")[0].json["data"][0]["path"] == path


def test_a_job_without_operations_is_finished(yard):
    answer = yard.write("j")
    assert (answer.status, answer.json) == (200, [])
    assert yard.job("j")["status"] == "FINSHED"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{}", "dataJobMetadata"),
        (b'{"dataJobMetadata":null}', "dataJobMetadata"),
        (b'{"dataJobMetadata":{}}', "dataJobWriteRequest.data"),
        (b'{"dataJobMetadata":{},"dataJobWriteRequest":{"data":null}}', "dataJobWriteRequest.data"),
        (b'{"dataJobMetadata":{"destination":5}}', "dataJobMetadata.destination"),
        (b'{"dataJobMetadata":{},"dataJobWriteRequest":{"data":[{}]}}', "dataJobWriteRequest.data[0].path"),
        (b"[", ""),
        (b'{"dataJobMetadata":{},"dataJobWriteRequest":{"data":[{"path":"\xff"}]}}', ""),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_by_name(yard, body, field):
    answer = yard.ask("POST", "/do-not-use/dataJobs/j/write", body)
    assert answer.status == 400, answer
    assert field in answer.json["message"]


def test_values_are_passed_on_byte_for_byte_whatever_the_media_type(yard, dmi):
    yard.register(dmi.url, target("ch-1", "/a"))
    value = b'{"n": 1.10, "big":123456789012345678901234567890, "u":"\\u00e9 \xc3\xa9"}'
    body = b'{"dataJobMetadata":{},"dataJobWriteRequest":{"data":[{"path":"/a","op":"add","value":%b}]}}' % value
    headers = {"Content-Type": "application/3gpp-json-patch+json"}
    assert yard.ask("POST", f"/do-not-use/dataJobs/{yard.name('j')}/write", body, headers=headers).status == 200
    (heard,) = dmi.heard("POST")
    assert b'"value":%b,' % value in heard.body
    assert heard.target == "/dmi/v1/cmwriteJob", "a destination that is not said is not sent"
    assert heard.headers["content-type"] == heard.headers["accept"] == "application/json"


def test_a_part_that_fails_does_not_lose_the_others(yard, dmi, other_dmi):
    yard.register(dmi.url, target("ch-1", "p1", "p"))
    yard.register(other_dmi.url, target("ch-3", "p3", "q"))
    other_dmi.created = lambda _: (500, b"out of order")
    answer = yard.write("j", operation("p1"), operation("p3"))
    assert answer.status == 200
    first, second = answer.json
    assert (first["subJobId"], "problem" in first) == ("1", False)
    assert (second["subJobId"], "out of order" in second["problem"]) == (None, True)
    dmi.status = lambda _: (200, b'{"status":"FINISHED"}')
    found = yard.until("j", "PARTIALLY_FAILED")
    assert [(one["dataProducerId"], one["status"]) for one in found["subJobs"]] == [("p", "FINSHED"), ("q", "FAILED")]


@pytest.mark.parametrize(
    ("answered", "code", "message"),
    [
        ((500, b"no"), 500, "dmi plugin service is not able to read resource data"),
        ((408, b""), 408, "dmi plugin service is not responding"),
        ((501, b""), 501, "dmi plugin service is not able to read resource data"),
        ((200, b"<html>"), 500, "Unknown error"),
    ],
)
def test_when_no_part_could_be_handed_over_the_answer_says_what_the_service_said(yard, dmi, answered, code, message):
    yard.register(dmi.url, target("ch-1", "p1"))
    dmi.created = lambda _: answered
    answer = yard.write("j", operation("p1"))
    assert answer.status == 502
    assert answer.json["message"] == message
    assert answer.json["dmi-response"].keys() == {"http-code", "body"}
    assert answer.json["dmi-response"]["http-code"] == code
    assert yard.job("j")["status"] == "FAILED"
    # What failed as a whole is asked for again.
    dmi.created = dmi.number
    assert yard.write("j", operation("p1")).json[0]["subJobId"] == "1"
    assert yard.job("j")["status"] == "NOT_STARTED"
    assert yard.part("j", "1", "status").body == b'{"status":"RUNNING"}'


def test_a_part_is_found_whichever_of_the_jobs_of_its_name_it_is_of(yard, dmi):
    yard.register(dmi.url, target("ch-1", "p1"))
    dmi.status = lambda heard: (200, heard.path.encode())
    assert yard.write("j", operation("p1")).json[0]["subJobId"] == "1"
    assert yard.write("j", operation("p1", "remove")).json[0]["subJobId"] == "2"
    for part in ("1", "2"):
        assert yard.part("j", part, "status").body.endswith(b"/%b/status" % part.encode())
        assert yard.part("j", part, "result").status == 200
    assert yard.part("j", "3", "status").status == 404
    cancelled = yard.ask("DELETE", f"/ranoam/cm/v1/dataJob/{yard.name('j')}").json
    assert (cancelled["jobId"], cancelled["subJobs"][0]["subJobId"]) == (yard.name("j"), "2")
    assert yard.write("j", operation("p1", "remove")).json[0]["subJobId"] == "3"
    assert yard.part("j", "3", "status").status == 200


def test_parts_that_are_called_alike_are_told_apart(yard, dmi, other_dmi):
    yard.register(dmi.url, target("ch-1", "p1", "same"), target("ch-2", "p2"))
    yard.register(other_dmi.url, target("ch-3", "p3", "same"))
    dmi.created = lambda heard: (200, b'{"subJobId":"1"}')
    other_dmi.status = lambda _: (200, b"other")
    yard.write("j", operation("p1"), operation("p2"), operation("p3"))
    assert "dmiServiceName: is needed" in yard.part("j", "1", "status", dataProducerId="same").json["message"]
    for url, body in ((dmi.url, b'{"status":"RUNNING"}'), (other_dmi.url, b"other")):
        answer = yard.part("j", "1", "status", dataProducerId="same", dmiServiceName=url)
        assert (answer.status, answer.body) == (200, body)
        assert yard.part("j", "1", "result", dataProducerId="same", dmiServiceName=url).status == 200
    assert yard.part("j", "1", "status", dmiServiceName="http://nobody").status == 404
    assert yard.part("j", "1", "status", dmiServiceName=dmi.url).status == 200, "the one without a producer"


def test_a_request_that_is_sent_again_meanwhile_is_answered_as_the_first_is(yard, dmi):
    yard.register(dmi.url, target("ch-1", "p1"))

    def slowly(heard):
        time.sleep(0.5)
        return dmi.number(heard)

    dmi.created = slowly
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: yard.write("j", operation("p1")).json, range(4)))
    assert [one[0]["subJobId"] for one in answers] == ["1"] * 4
    assert len(dmi.heard("POST")) == 1


def test_a_long_answer_names_its_part_and_a_long_refusal_is_told(yard, dmi):
    yard.register(dmi.url, target("ch-1", "p1"))
    dmi.created = lambda _: (200, b'{"why":"%b","subJobId":"1"}' % (b"x" * 100_000))
    assert yard.write("j", operation("p1")).json[0]["subJobId"] == "1"
    dmi.created = lambda _: (400, b"x" * 2000)
    assert yard.write("k", operation("p1")).json["dmi-response"]["body"] == "x" * 2000


@pytest.mark.parametrize("answered", [b"{}", b"[]", b"null", b'{"subJobId":""}'])
def test_a_part_that_was_taken_without_a_name_cannot_be_followed_and_says_so(yard, dmi, answered):
    yard.register(dmi.url, target("ch-1", "p1"))
    dmi.created = lambda _: (200, answered)
    answer = yard.write("j", operation("p1"))
    assert (answer.status, "cannot be asked" in answer.json[0]["problem"]) == (200, True)
    (part,) = yard.job("j")["subJobs"]
    assert (part["status"], part["stale"]) == ("NOT_STARTED", True)
    assert yard.write("j", operation("p1")).json == answer.json
    assert len(dmi.heard("POST")) == 1, "it was taken"


def test_a_service_that_refuses_every_job_is_heard_at_once_each_time(yard, dmi):
    yard.register(dmi.url, target("ch-1", "p1"), target("ch-2", "p2", "good"))
    dmi.created = lambda heard: dmi.number(heard) if heard.json["dataProducerId"] else (501, b"")
    for number in range(8):
        assert yard.write(f"j{number}", operation("p1")).status == 502
    assert yard.write("good", operation("p2")).json[0]["subJobId"] == "1", "nobody else is held up"


def test_the_same_request_is_the_same_job_and_another_one_is_not(yard, dmi):
    yard.register(dmi.url, target("ch-1", "p1"))
    first = yard.write("j", operation("p1"))
    assert yard.write("j", operation("p1")).json == first.json
    assert len(dmi.heard("POST")) == 1
    assert yard.write("j", operation("p1", "remove")).json[0]["subJobId"] == "2"
    assert {one.json["dataJobId"] for one in dmi.heard("POST")} == {yard.name("j")}


def test_a_service_that_was_away_gets_its_part_when_it_is_back(yard):
    port = free_port()
    yard.register(f"http://127.0.0.1:{port}", target("ch-1", "p1"))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(yard.write, "j", operation("p1"))
        eventually(lambda: yard.ask("GET", f"/ranoam/cm/v1/dataJob/{yard.name('j')}").status == 200)
        time.sleep(0.3)
        with Dmi(port):
            assert answer.result(60).json[0]["subJobId"] == "1"


def test_old_services_are_called_by_their_old_paths(tmp_path, dmi):
    found = Yard(tmp_path, JOBYARD_DMI_FIRST_GENERATION=dmi.url)
    with found.server:
        found.register(dmi.url, target("ch-1", "p1", "p/1"))
        dmi.created = lambda _: (200, b'{"dataProducerJobId":"x/1"}')
        dmi.status = lambda _: (200, b"FINISHED")
        assert found.write("j%201", operation("p1")).json[0]["subJobId"] == "x/1"
        found.until("j%201", "FINSHED")
    (made,) = dmi.heard("POST")
    assert made.target == "/dmi/v1/writeJob/j%201"
    assert made.json.keys() == {"dataAcceptType", "dataContentType", "dataProducerId", "data"}
    assert dmi.heard("GET")[0].target == "/dmi/v1/dataJob/j%201/dataProducerJob/x%2F1/status?dataProducerId=p%2F1"


def test_the_token_of_the_caller_is_shown_and_never_kept_in_clear(yard, dmi):
    yard.register(dmi.url, target("ch-1", "p1"))
    yard.write("j", operation("p1"), headers={"Authorization": "Bearer very-secret"})
    eventually(lambda: dmi.heard("GET"))
    assert {one.headers.get("authorization") for one in dmi.calls} == {"Bearer very-secret"}
    yard.write("k", operation("p1"), headers={"Authorization": "Basic dmVyeTpzZWNyZXQ="})
    assert "authorization" not in dmi.heard("POST")[-1].headers
    kept = b"".join(path.read_bytes() for path in yard.server.folder.glob("jobyard.db*"))
    assert b"very-secret" not in kept


def test_services_are_shown_our_own_name_where_there_is_one(tmp_path, dmi):
    file = tmp_path / "credentials"
    file.write_text("user:pass\n")
    found = Yard(tmp_path, JOBYARD_DMI_CREDENTIALS_FILE=str(file))
    with found.server:
        found.register(dmi.url, target("ch-1", "p1"))
        found.write("j", operation("p1"), headers={"Authorization": "Bearer x"})
    assert dmi.heard("POST")[0].headers["authorization"] == "Basic dXNlcjpwYXNz"


async def test_over_grpc_a_job_comes_in_pieces(yard, dmi):
    yard.register(dmi.url, target("ch-1", "p1", "p"))
    pieces = [
        pb.WriteDataJobRequest(data_job_id=yard.name("j"), metadata=data_job_pb2.DataJobMetadata(destination="d1")),
        pb.WriteDataJobRequest(operations=[operation_pb2.WriteOperation(path="p1", op="add", value=b'{"x": 1.0}')]),
        pb.WriteDataJobRequest(operations=[operation_pb2.WriteOperation(path="p1#a", op="replace", operation_id="2")]),
    ]
    async with grpc.aio.insecure_channel(yard.server.grpc) as channel:
        stub = data_job_service_pb2_grpc.DataJobServiceStub(channel)
        answer = await stub.WriteDataJob(iter(pieces), timeout=60)
        assert [(one.sub_job_id, one.data_producer_id) for one in answer.sub_jobs] == [("1", "p")]
        body = b'{"dataJobMetadata":{},"dataJobWriteRequest":{"data":[{"path":"p1","op":"add","value":{"x": 1.0}}]}}'
        chunks = [
            pb.WriteDataJobRequest(
                data_job_id=yard.name("k"), body=httpbody_pb2.HttpBody(data=body[start : start + 10])
            )
            for start in range(0, len(body), 10)
        ]
        assert (await stub.WriteDataJob(iter(chunks), timeout=60)).sub_jobs[0].sub_job_id == "2"
    typed, raw = dmi.heard("POST")
    assert typed.json["data"] == [
        {"path": "p1", "op": "add", "moduleSetTag": None, "value": {"x": 1.0}, "operationId": None},
        {"path": "p1#a", "op": "replace", "moduleSetTag": None, "value": None, "operationId": "2"},
    ]
    assert b'"value":{"x": 1.0}' in raw.body


def test_a_large_job_arrives_whole_and_in_order(yard, dmi, other_dmi):
    yard.register(dmi.url, *(target(f"ch-{number}", f"/a={number}", "p") for number in range(40)))
    yard.register(other_dmi.url, target("ch-few", "/few", "q"))
    paths = [f"/a={number % 40}/b={number}/{'x' * 80}" for number in range(12_000)]
    many = [operation("/few/1"), *map(operation, paths), operation("/few/2#x")]
    assert [one["subJobId"] for one in yard.write("j", *many).json] == ["1", "1"]
    (heard,) = dmi.heard("POST")
    assert len(heard.body) > 2 * 1024 * 1024
    assert [one["path"] for one in heard.json["data"]] == paths
    assert [one["path"] for one in other_dmi.heard("POST")[0].json["data"]] == ["/few/1", "/few/2#x"]
    assert yard.write("k", *many, operation("/nobody")).status == 404
    assert len(dmi.heard("POST")) == 1


def test_over_grpc_a_large_job_comes_in_many_pieces(yard, dmi):
    yard.register(dmi.url, target("ch-1", "/a", "p"))
    name = yard.name("j")
    data = b",".join(b'{"path":"/a/%d","op":"add","value":"%b"}' % (number, b"x" * 200) for number in range(30_000))
    body = b'{"dataJobMetadata":{},"dataJobWriteRequest":{"data":[%b]}}' % data
    chunks = (
        pb.WriteDataJobRequest(data_job_id=name, body=httpbody_pb2.HttpBody(data=body[start : start + 1_000_000]))
        for start in range(0, len(body), 1_000_000)
    )
    with grpc.insecure_channel(yard.server.grpc) as channel:
        answer = data_job_service_pb2_grpc.DataJobServiceStub(channel).WriteDataJob(chunks, timeout=60)
    assert [one.sub_job_id for one in answer.sub_jobs] == ["1"]
    assert dmi.heard("POST")[0].body.endswith(
        b'"path":"/a/29999","op":"add","moduleSetTag":null,"value":"%b","operationId":null}]}' % (b"x" * 200)
    )
