"""Results of DMI services, passed on while they come."""

from __future__ import annotations

import hashlib
import http.client
from collections.abc import Iterator
from contextlib import closing, contextmanager

import grpc
import pytest

from apis.ncmp.yard import Yard, operation, target
from jobyard.ncmp.v1 import data_job_service_pb2, data_job_service_pb2_grpc

MIB = 1024 * 1024
LARGEST = 64 * MIB


@pytest.fixture
def handed_over(yard, dmi) -> str:
    """A job whose only part is with a DMI service."""
    yard.register(dmi.url, target("ch-1", "p1", "a"))
    dmi.status = lambda _: (200, b'{"status":"FINISHED"}')
    yard.write("j", operation("p1"))
    return yard.name("j")


@contextmanager
def over_rest(yard: Yard, job: str) -> Iterator[http.client.HTTPResponse]:
    host, _, port = yard.server.rest.rpartition(":")
    with closing(http.client.HTTPConnection(host, int(port), timeout=60)) as connection:
        connection.request("GET", f"/do-not-use/dataJobs/{job}/dataProducerJob/1/result")
        yield connection.getresponse()


def over_grpc(channel: grpc.Channel, job: str):
    request = data_job_service_pb2.GetDataJobResultRequest(data_job_id=job, data_producer_job_id="1")
    return data_job_service_pb2_grpc.DataJobServiceStub(channel).GetDataJobResult(request)


def test_a_large_result_takes_a_few_buffers(yard, dmi, handed_over):
    large = bytes(range(256)) * (LARGEST // 256)
    dmi.result = lambda _: (200, large)
    yard.memory()
    before = yard.memory()
    digest = hashlib.sha256()
    with over_rest(yard, handed_over) as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
        while piece := answer.read(MIB):
            digest.update(piece)
    assert digest.digest() == hashlib.sha256(large).digest()
    with grpc.insecure_channel(yard.server.grpc) as channel:
        messages = list(over_grpc(channel, handed_over))
    assert b"".join(message.result.data for message in messages) == large
    assert [message.result.content_type for message in messages[:2]] == ["application/json", ""]
    assert yard.memory() - before < 24


def test_an_empty_result_is_a_result(yard, dmi, handed_over):
    dmi.result = lambda _: (200, b"")
    with over_rest(yard, handed_over) as answer:
        assert (answer.status, answer.headers["Content-Type"], answer.read()) == (200, "application/json", b"")


def test_a_result_that_is_too_long_is_refused_before_anything_is_passed_on(yard, dmi, handed_over):
    dmi.result = lambda _: (200, bytes(LARGEST + 1))
    with over_rest(yard, handed_over) as answer:
        assert answer.status == 502
        assert f"longer than {LARGEST} bytes" in answer.read().decode()


def test_a_result_that_breaks_off_is_no_result(yard, dmi, handed_over):
    dmi.result, dmi.withheld = lambda _: (200, b"x" * MIB), 1
    with over_rest(yard, handed_over) as answer, pytest.raises(http.client.IncompleteRead):
        answer.read()
    with grpc.insecure_channel(yard.server.grpc) as channel, pytest.raises(grpc.RpcError) as caught:
        list(over_grpc(channel, handed_over))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "not responding" in caught.value.details()
