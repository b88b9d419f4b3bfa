"""Every rpc of every API says what it asks of its callers, and asks it by both doors before anything else."""

import contextlib

import grpc
import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import code_pb2

from jobyard.rest.v1 import annotations_pb2
from jobyard_server import contract, main
from jobyard_server.apis.registration import Options
from jobyard_server.callers.authentication import Verified
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.reason import Refused
from jobyard_server.observe.calls import CallMetrics
from jobyard_server.rpc.edge import Edge, Limits
from jobyard_server.rpc.methods import Access
from jobyard_server.rpc.server import Rpc
from jobyard_server.rpc.validation import check
from jobyard_server.store.store import Store
from jobyard_server.transcoding.backend import Call, RequestRefused, RpcFailure

POOL = descriptor_pool.Default()
METHODS = {
    f"/{service.name}/{method.name}": method
    for api in main.APIS
    for service in api.services
    for method in POOL.FindServiceByName(service.name).methods
}


def test_every_rpc_of_the_contract_says_what_it_asks():
    files = FileDescriptorSet.FromString(contract.descriptors()).file
    silent = [
        f"{file.package}.{service.name}.{method.name}"
        for file in files
        if file.package.startswith("jobyard.")
        for service in file.service
        for method in service.method
        if not method.options.Extensions[annotations_pb2.permission].WhichOneof("rule")
    ]
    assert silent == []
    assert len(METHODS) > 30


def test_the_rules_of_every_request_make_sense():
    """They are compiled when a request comes; those that cannot be are found here."""
    for method in METHODS.values():
        request = message_factory.GetMessageClass(method.input_type)()
        with contextlib.suppress(Refused):
            check(request)


class Everybody:
    """Knows anybody by what he may do: `nothing`, or the permissions with commas between them."""

    async def verify(self, credential):
        if credential.value.startswith("may:"):
            return Principal("ann", "north", permissions=frozenset(credential.value.removeprefix("may:").split(",")))
        return None


@pytest.fixture(scope="module")
async def rpc(tmp_path_factory):
    options = Options(apis=frozenset(api.name for api in main.APIS))
    async with Store(f"sqlite:///{tmp_path_factory.mktemp('permissions') / 'jobyard.db'}") as store:
        authentication = Verified([Everybody()], Principal("anonymous", "default"))
        edge = Edge(authentication, CallMetrics(main.CollectorRegistry()), Limits())
        offered = [(each.name, each.register, each.build(store, options)) for api in main.APIS for each in api.services]
        rpc = Rpc(edge, offered, [file for api in main.APIS for file in api.files], contract.descriptors)
        rpc.port = rpc.server.add_insecure_port("127.0.0.1:0")
        await rpc.server.start()
        yield rpc
        await rpc.server.stop(0)


@pytest.fixture(scope="module")
async def channel(rpc):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{rpc.port}") as channel:
        yield channel


async def over_grpc(channel, path, method, metadata):
    """How a call ends whose request is no message; nobody who is not admitted may hear of that."""
    kinds = ("stream" if streams else "unary" for streams in (method.client_streaming, method.server_streaming))
    request = iter([b"\xff\xff"]) if method.client_streaming else b"\xff\xff"
    call = getattr(channel, "_".join(kinds))(path)(request, metadata=metadata)
    try:
        if method.server_streaming:
            async for _ in call:
                pass
        else:
            await call
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


async def in_process(backend, path, method, metadata):
    async def decode():
        raise RequestRefused("BODY_MALFORMED", "no message")

    async def requests():
        yield await decode()

    call = Call(path, metadata, None, "ipv4:127.0.0.1:1")
    try:
        if method.client_streaming:
            await backend.client_stream(call, requests())
        elif method.server_streaming:
            await anext(backend.stream(call, decode))
        else:
            await backend.unary(call, decode)
    except RpcFailure as failure:
        return code_pb2.Code.Name(failure.code)
    except RequestRefused:
        return REACHED
    return "OK"


REACHED = "INVALID_ARGUMENT"
"""How a call ends whose caller is let in and whose request then is none."""


def expected(method):
    """The end of a call by what its caller shows."""
    unproved = REACHED if method.access is Access.OPEN else "UNAUTHENTICATED"
    lacks = method.access is Access.PERMISSION
    return {
        "": unproved,
        "Bearer wrong": unproved,
        "Digest may:*": unproved,
        "Bearer may:something.else": "PERMISSION_DENIED" if lacks else REACHED,
        f"Bearer may:x,{method.permission}": REACHED,
        "Bearer may:*": REACHED,
    }


@pytest.mark.parametrize(("path", "method"), list(METHODS.items()), ids=list(METHODS))
async def test_who_is_let_in(rpc, channel, path, method):
    assert not (method.client_streaming and method.server_streaming)
    for shown, code in expected(rpc.methods[path]).items():
        metadata = (("authorization", shown),) if shown else ()
        assert await over_grpc(channel, path, method, metadata) == code, shown
        assert await in_process(rpc.backend, path, method, metadata) == code, shown
