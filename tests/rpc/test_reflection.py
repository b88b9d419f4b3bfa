"""A client with no proto files finds everything by reflection: what is offered, of what, and what errors say."""

import asyncio
import json
import sys
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.rpc import status_pb2
from grpc_reflection.v1alpha import reflection_pb2

from jobyard_server import contract, main
from jobyard_server.apis.registration import Options
from jobyard_server.callers.authentication import Unguarded
from jobyard_server.observe.calls import CallMetrics
from jobyard_server.rpc.edge import Edge, Limits
from jobyard_server.rpc.server import Rpc
from jobyard_server.store.store import Store

BUF = Path(sys.executable).with_name("buf")
VERSIONS = ("grpc.reflection.v1", "grpc.reflection.v1alpha")


@pytest.fixture(scope="module")
async def server(tmp_path_factory):
    """Every API of the product, on a store of its own."""
    services = [service for api in main.APIS for service in api.services]
    options = Options(apis=frozenset(api.name for api in main.APIS))
    async with Store(f"sqlite:///{tmp_path_factory.mktemp('reflection') / 'jobyard.db'}") as store:
        edge = Edge(Unguarded("default"), CallMetrics(main.CollectorRegistry()), Limits())
        offered = [(each.name, each.register, each.build(store, options)) for each in services]
        rpc = Rpc(edge, offered, [file for api in main.APIS for file in api.files], contract.descriptors)
        port = rpc.server.add_insecure_port("127.0.0.1:0")
        await rpc.server.start()
        yield f"127.0.0.1:{port}"
        await rpc.server.stop(0)


class Reflected:
    """Asks one version of the protocol, message by message."""

    def __init__(self, channel: grpc.aio.Channel, version: str) -> None:
        self._call = channel.stream_stream(
            f"/{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )()

    async def ask(self, **request):
        await self._call.write(reflection_pb2.ServerReflectionRequest(**request))
        return await self._call.read()

    async def services(self) -> list[str]:
        answer = await self.ask(list_services="")
        return [service.name for service in answer.list_services_response.service]

    async def files(self, **request) -> list[FileDescriptorProto]:
        answer = await self.ask(**request)
        assert not answer.HasField("error_response"), answer.error_response
        return [FileDescriptorProto.FromString(data) for data in answer.file_descriptor_response.file_descriptor_proto]

    async def pool(self) -> descriptor_pool.DescriptorPool:
        """Everything offered and everything errors carry, found file by file as a client without protos does."""
        found: dict[str, FileDescriptorProto] = {}
        for symbol in [*await self.services(), "google.rpc.Status", "google.rpc.ErrorInfo"]:
            found |= {file.name: file for file in await self.files(file_containing_symbol=symbol)}
        missing = {name for file in found.values() for name in file.dependency} - found.keys()
        assert missing == set()
        pool = descriptor_pool.DescriptorPool()

        def add(name: str) -> None:
            file = found.pop(name, None)
            if file is not None:
                for imported in file.dependency:
                    add(imported)
                pool.Add(file)

        while found:
            add(next(iter(found)))
        return pool


@pytest.fixture(params=VERSIONS)
async def reflected(server, request):
    async with grpc.aio.insecure_channel(server) as channel:
        yield Reflected(channel, request.param)


async def test_everything_is_offered(reflected):
    services = await reflected.services()
    assert services == sorted(services)
    ours = {service.name for api in main.APIS for service in api.services}
    assert set(services) == ours | {"grpc.health.v1.Health", *(f"{version}.ServerReflection" for version in VERSIONS)}


async def test_every_import_can_be_resolved(reflected):
    pool = await reflected.pool()
    for name in await reflected.services():
        service = pool.FindServiceByName(name)
        for method in service.methods:
            assert message_factory.GetMessageClass(method.input_type)().SerializeToString() == b""
            assert message_factory.GetMessageClass(method.output_type)().SerializeToString() == b""


async def test_every_file_can_be_asked_for_by_name_alone(reflected):
    (first, *_) = await reflected.files(file_containing_symbol="jobyard.jobs.v1.JobService")
    waiting, seen = [first.name], set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            found = await reflected.files(file_by_filename=name)
            assert found[0].name == name
            waiting.extend(found[0].dependency)
    assert {"google/protobuf/timestamp.proto", "google/api/http.proto", "buf/validate/validate.proto"} <= seen


async def test_errors_can_be_decoded_with_nothing_but_reflection(server, reflected):
    pool = await reflected.pool()
    async with grpc.aio.insecure_channel(server) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/jobyard.jobs.v1.JobService/SubmitJob")(b"\x40\x63")
    status = status_pb2.Status.FromString(dict(caught.value.trailing_metadata())["grpc-status-details-bin"])
    decoded = {}
    for packed in status.details:
        kind = message_factory.GetMessageClass(pool.FindMessageTypeByName(packed.TypeName()))
        decoded[kind.DESCRIPTOR.name] = kind.FromString(packed.value)
    assert (decoded["ErrorInfo"].reason, decoded["ErrorInfo"].domain) == ("INVALID_FIELD", "jobyard")
    assert [violation.field for violation in decoded["BadRequest"].field_violations] == ["priority"]
    assert decoded["RequestInfo"].request_id


async def test_comments_come_along(reflected):
    files = await reflected.files(file_containing_symbol="jobyard.jobs.v1.JobService.SubmitJob")
    comments = [place.leading_comments for place in files[0].source_code_info.location]
    assert any(comment.startswith(" Accepts a Job.") for comment in comments)


async def test_symbols_of_every_kind_are_found(reflected):
    for symbol in (
        "jobyard.jobs.v1.Job",
        "jobyard.jobs.v1.Job.uid",
        "jobyard.jobs.v1.State",
        "jobyard.jobs.v1.STATE_RUNNING",
        "jobyard.jobs.v1.JobService",
        "jobyard.jobs.v1.JobService.GetJob",
        "jobyard.rest.v1.permission",
        "google.rpc.BadRequest.FieldViolation",
    ):
        assert await reflected.files(file_containing_symbol=symbol), symbol


async def test_extensions_are_found(reflected):
    extension = {"containing_type": "google.protobuf.MethodOptions", "extension_number": 51024}
    (file, *_) = await reflected.files(file_containing_extension=extension)
    assert file.name == "jobyard/rest/v1/annotations.proto"
    answer = await reflected.ask(all_extension_numbers_of_type="google.protobuf.MethodOptions")
    assert {51024, 72295728} <= set(answer.all_extension_numbers_response.extension_number)


@pytest.mark.parametrize(
    "request_",
    [
        {"file_by_filename": "nobody.proto"},
        {"file_containing_symbol": "nobody.Nothing"},
        {"file_containing_extension": {"containing_type": "google.protobuf.MethodOptions", "extension_number": 1}},
        {"all_extension_numbers_of_type": "nobody.Nothing"},
    ],
)
async def test_what_is_not_there_is_not_found(reflected, request_):
    answer = await reflected.ask(**request_)
    assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
    assert answer.HasField("original_request")


async def test_asking_nothing_is_refused(reflected):
    answer = await reflected.ask(host="x")
    assert answer.error_response.error_code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


# --- with a client that people use -------------------------------------------------------------------------------


async def buf_curl(server: str, *arguments: str, url: str = "") -> tuple[int, str, str]:
    program = await asyncio.create_subprocess_exec(
        BUF, "curl", "--protocol", "grpc", "--http2-prior-knowledge", *arguments, f"http://{server}{url}",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(program.communicate(), 60)
    assert program.returncode is not None
    return program.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("protocol", ["grpc-v1", "grpc-v1alpha"])
async def test_buf_curl_lists_every_method(server, protocol):
    code, out, err = await buf_curl(server, "--reflect-protocol", protocol, "--list-methods")
    assert code == 0, err
    pool = descriptor_pool.Default()
    ours = {
        f"{service.name}/{method.name}"
        for api in main.APIS
        for service in api.services
        for method in pool.FindServiceByName(service.name).methods
    }
    assert ours <= set(out.split())


async def test_buf_curl_lists_the_services(server):
    code, out, err = await buf_curl(server, "--list-services")
    assert code == 0, err
    assert "jobyard.jobs.v1.JobService" in out.split()


async def test_buf_curl_calls(server):
    submit = "/jobyard.jobs.v1.JobService/SubmitJob"
    code, out, err = await buf_curl(server, "-d", '{"queue": "q", "payload": "{}"}', url=submit)
    assert code == 0, err
    number = json.loads(out)["job"]["number"]
    code, out, err = await buf_curl(server, "-d", json.dumps({"job": number}), url="/jobyard.jobs.v1.JobService/GetJob")
    assert (code, json.loads(out)["job"]["queue"]) == (0, "q")


async def test_buf_curl_is_told_why(server):
    code, _, err = await buf_curl(server, "-d", '{"job": "99"}', url="/jobyard.jobs.v1.JobService/GetJob")
    assert code != 0
    error = json.loads(err)
    assert (error["code"], error["message"]) == ("not_found", "There is no job 99.")
    assert [detail["type"] for detail in error["details"]] == ["google.rpc.ErrorInfo", "google.rpc.RequestInfo"]
