"""Large data jobs of the DMI role: through REST and gRPC, to a worker and back, in memory that is bounded."""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Iterator

import grpc
import pytest
from google.api import httpbody_pb2

from apis.ncmp.workers import ECHO, producers
from apis.ncmp.yard import Yard, eventually
from jobyard.ncmp.v1 import dmi_create_pb2, dmi_service_pb2_grpc, operation_pb2

pytestmark = pytest.mark.timeout(300)
MIB = 1024 * 1024
OPERATIONS = 100_000
PATH = "/SubNetwork=Europe/SubNetwork=Ireland/MeContext=R{0:06}/ManagedElement=M{0:06}/GNBCUCPFunction=1"
CURRENT = "/dmi/v1/cmwriteJob/dataProducer/p/dataProducerJob"


@pytest.fixture(scope="module")
def dmi(tmp_path_factory) -> Iterator[Yard]:
    yard = Yard(tmp_path_factory.mktemp("large"))
    with yard.server, producers(yard.server, "ncmp/p", program=ECHO):
        yield yard


def operations() -> bytes:
    """100,000 operations, some 22 MB."""
    data = [
        {
            "path": PATH.format(number % 50_000),
            "op": "add",
            "operationId": str(number),
            "value": {"id": str(number), "attributes": {"userLabel": f"label{number}"}},
        }
        for number in range(OPERATIONS)
    ]
    return json.dumps({"dataProducerId": "p", "dataJobId": "j", "data": data}).encode()


def ended(yard: Yard, id_: str) -> str:
    def status() -> str:
        return str(yard.ask("GET", f"{CURRENT}/{id_}/status").json["status"])

    return str(eventually(lambda: (found := status()) not in {"NOT_STARTED", "RUNNING"} and found, 120))


def result(yard: Yard, id_: str) -> tuple[int, str]:
    """Size and digest of a result, read piece by piece."""
    host, _, port = yard.server.rest.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=120)
    connection.request("GET", f"{CURRENT}/{id_}/result?destination=d")
    answer = connection.getresponse()
    assert answer.status == 200
    size, digest = 0, hashlib.sha256()
    while piece := answer.read(MIB):
        size += len(piece)
        digest.update(piece)
    connection.close()
    return size, digest.hexdigest()


def whole(body: bytes) -> tuple[int, str]:
    return len(body), hashlib.sha256(body).hexdigest()


def bodies() -> dict[str, bytes]:
    filling = b'{"dataProducerId": "p", "data": [{"path": "/a", "op": "add", "value": "%b"}]}'
    return {"operations": operations(), "largest": filling % (b"y" * (64 * MIB - len(filling) + 2))}


@pytest.mark.parametrize("kind", ["operations", "largest"])
def test_over_rest_and_to_a_worker_and_back(dmi: Yard, kind: str) -> None:
    body = bodies()[kind]
    before = dmi.memory()
    answer = dmi.ask("POST", "/dmi/v1/cmwriteJob?destination=d", body)
    assert answer.status == 200, answer
    taken = dmi.memory() - before
    id_ = answer.json["subJobId"]
    assert ended(dmi, id_) == "FINSHED"
    assert result(dmi, id_) == whole(body)
    given = dmi.memory() - before
    size = len(body) / MIB
    print(f"{kind}: {size:.0f} MiB, {taken / size:.2f} times that to take it, {given / size:.2f} in all")
    assert taken < 3 * size
    # What streams through takes the same few buffers, however large it is.
    assert given < taken + 96


def test_over_grpc_as_bytes(dmi: Yard) -> None:
    body = operations()
    pieces = [body[at : at + MIB] for at in range(0, len(body), MIB)]
    whole_ = [dmi_create_pb2.CreateWriteJobRequest(body=httpbody_pb2.HttpBody(data=body))]
    streamed = [dmi_create_pb2.CreateWriteJobRequest(body=httpbody_pb2.HttpBody(data=piece)) for piece in pieces]
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(dmi.server.grpc, options=options) as channel:
        stub = dmi_service_pb2_grpc.DmiJobServiceStub(channel)
        assert stub.CreateWriteJob(iter(whole_)).data_producer_id == "p"
        id_ = stub.CreateWriteJob(iter(streamed)).sub_job_id
    assert ended(dmi, id_) == "FINSHED"
    assert result(dmi, id_) == whole(body)


def test_over_grpc_as_messages(dmi: Yard) -> None:
    def messages() -> Iterator[dmi_create_pb2.CreateWriteJobRequest]:
        for start in range(0, OPERATIONS, 5_000):
            batch = [
                operation_pb2.WriteOperation(path=PATH.format(number), op="add", value=b'{"id": "%d"}' % number)
                for number in range(start, start + 5_000)
            ]
            yield dmi_create_pb2.CreateWriteJobRequest(
                data_producer_id="p" if start == 0 else "", data_job_id="j" if start == 0 else "", operations=batch
            )

    with grpc.insecure_channel(dmi.server.grpc) as channel:
        id_ = dmi_service_pb2_grpc.DmiJobServiceStub(channel).CreateWriteJob(messages()).sub_job_id
    assert ended(dmi, id_) == "FINSHED"
    size, _ = result(dmi, id_)
    assert size > 10 * MIB


def test_what_is_too_large_is_refused_by_both_doors(dmi: Yard) -> None:
    body = b"x" * (65 * MIB)
    host, _, port = dmi.server.rest.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    connection.putrequest("POST", "/dmi/v1/cmwriteJob")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
    pieces = (
        dmi_create_pb2.CreateWriteJobRequest(body=httpbody_pb2.HttpBody(data=body[at : at + 3 * MIB]))
        for at in range(0, len(body), 3 * MIB)
    )
    with grpc.insecure_channel(dmi.server.grpc) as channel, pytest.raises(grpc.RpcError) as caught:
        dmi_service_pb2_grpc.DmiJobServiceStub(channel).CreateWriteJob(pieces)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

    def let_go() -> str:
        figures = dmi.ask("GET", "/metrics").body.decode()
        return figures if "jobyard_request_bytes 0.0" in figures else ""

    figures = eventually(let_go)
    peak = next(line for line in figures.splitlines() if line.startswith("jobyard_request_bytes_peak "))
    assert 60 * MIB <= float(peak.split()[1]) <= 70 * MIB
