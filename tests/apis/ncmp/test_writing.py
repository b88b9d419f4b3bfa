"""Write jobs over HTTP: split, handed over, answered, and what goes wrong on the way."""

from __future__ import annotations

from apis.ncmp.yard import METADATA, operation, target


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
        "dataJobId": "some-job-id",
        "data": [
            {"path": "p1", "op": "add", "moduleSetTag": None, "value": {"key": "some-value"}, "operationId": "1"},
            {"path": "p2", "op": "add", "moduleSetTag": None, "value": {"key": "some-value"}, "operationId": "1"},
        ],
    }
    assert [(op["path"], op["moduleSetTag"]) for op in other.json["data"]] == [("p3", "tag")]
