"""The probe service: its proto compiled, a servicer that does as it is told, and the edge it stands behind."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc
from prometheus_client import CollectorRegistry

import buf.validate.validate_pb2
import jobyard.rest.v1.annotations_pb2
from jobyard_server import contract
from jobyard_server.callers.authentication import Verified
from jobyard_server.callers.credential import Credential, Kind
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.reason import Reason, Refusal, Refused, Violation, refuse
from jobyard_server.observe.calls import CallMetrics
from jobyard_server.rpc import caller
from jobyard_server.rpc.edge import Edge, Limits
from jobyard_server.rpc.server import Rpc, Transport

ROOT = Path(__file__).parent.parent.parent
SERVICE = "jobyard.probe.v1.ProbeService"
ANONYMOUS = Principal("anonymous", "default")
USERS = {
    "sayer": Principal("ann", "north", permissions=frozenset({"probe.say"})),
    "stranger": Principal("bob", "south", permissions=frozenset({"other"})),
    "bare": Principal("eve", "south"),
}


def compile_probe() -> None:
    """Put the proto into the pool of descriptors, with what it imports."""
    assert jobyard.rest.v1.annotations_pb2.DESCRIPTOR
    assert buf.validate.validate_pb2.DESCRIPTOR
    well_known = Path(protoc.__file__).parent / "_proto"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "probe.binpb"
        paths = [f"-I{ROOT / 'tests' / 'rpc'}", f"-I{ROOT / 'protos'}", f"-I{well_known}"]
        assert protoc.main(["protoc", *paths, f"--descriptor_set_out={out}", "probe.proto"]) == 0
        files = FileDescriptorSet.FromString(out.read_bytes())
    for file in files.file:
        descriptor_pool.Default().AddSerializedFile(file.SerializeToString())


compile_probe()
FILE = descriptor_pool.Default().FindFileByName("probe.proto")


def message(name: str) -> Any:
    return message_factory.GetMessageClass(FILE.message_types_by_name[name])


SayRequest, SayResponse = message("SayRequest"), message("SayResponse")


class Probe:
    """Does what the word of the request says."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.began = asyncio.Event()
        self.go_on = asyncio.Event()

    async def Say(self, request: Any, context: Any) -> Any:
        self.began.set()
        try:
            return await self._say(request, context)
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise

    async def _say(self, request: Any, context: Any) -> Any:  # noqa: C901 - a case a word
        match request.word:
            case "refuse":
                violations = (Violation("parts[0].name", "is not known"),)
                metadata = {"job": "42"}
                raise Refused(Refusal(Reason.JOB_NOT_FOUND, "There is no job 42.", violations, metadata, 2.5))
            case "many":
                raise refuse(Reason.INVALID_FIELD, "x" * 5000, *(Violation(f"f{n}", "y" * 200) for n in range(500)))
            case "break":
                raise RuntimeError("the password is hunter2")
            case "own timeout":
                raise TimeoutError("a timeout of the handler's own")
            case "abort":
                await context.abort(grpc.StatusCode.DATA_LOSS, "gone", (("x-why", "fire"),))
            case "code":
                context.set_code(grpc.StatusCode.OUT_OF_RANGE)
                context.set_details("too far")
            case "nothing":
                return None
            case "trailing":
                context.set_trailing_metadata((("x-more", "yes"),))
            case "sleep":
                await asyncio.sleep(request.seconds)
            case "wait":
                await self.go_on.wait()
        return self._answer(request)

    def _answer(self, request: Any) -> Any:
        principal = caller.principal()
        user = f"{principal.user}@{principal.tenant}"
        return SayResponse(word=request.word, user=user, request_id=caller.request_id())

    Known = Say
    Open = Say

    async def Count(self, request: Any, context: Any) -> AsyncIterator[Any]:
        self.began.set()
        try:
            for _ in range(3):
                yield self._answer(request)
            if request.word == "break":
                raise RuntimeError("broken in the middle")
            if request.word == "refuse":
                raise refuse(Reason.EVENTS_COMPACTED, "Too old.")
            if request.word == "sleep":
                await asyncio.sleep(request.seconds)
        finally:
            self.ended.append("closed")

    async def Collect(self, requests: AsyncIterator[Any], context: Any) -> Any:
        words = [request.word async for request in requests]
        return SayResponse(word=" ".join(words), user=caller.principal().user)

    async def Chat(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            yield self._answer(request)


def add_to_server(servicer: Probe, server: Any, service: str = SERVICE) -> None:
    """Register as generated code does, once in each of the two ways."""
    handlers = {}
    for method in descriptor_pool.Default().FindServiceByName(service).methods:
        kind = f"{_count(method.client_streaming)}_{_count(method.server_streaming)}_rpc_method_handler"
        handlers[method.name] = getattr(grpc, kind)(
            getattr(servicer, method.name),
            request_deserializer=SayRequest.FromString,
            response_serializer=SayResponse.SerializeToString,
        )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    server.add_registered_method_handlers(service, handlers)


def _count(streaming: object) -> str:
    return "stream" if streaming else "unary"


class Stub:
    """What generated code would offer to clients."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        for method in descriptor_pool.Default().FindServiceByName(SERVICE).methods:
            kind = f"{_count(method.client_streaming)}_{_count(method.server_streaming)}"
            call = getattr(channel, kind)(
                f"/{SERVICE}/{method.name}",
                request_serializer=SayRequest.SerializeToString,
                response_deserializer=SayResponse.FromString,
            )
            setattr(self, method.name, call)


class Words:
    """Knows users by a word instead of a token, or of a name and a password."""

    async def verify(self, credential: Credential) -> Principal | None:
        if credential.value == "guesser":
            raise refuse(Reason.TOO_MANY_REQUESTS, "There were too many guesses.")
        return USERS.get(credential.value) if credential.kind in {Kind.TOKEN, Kind.BASIC} else None


def guarded(limits: Limits | None = None, log: Any = None) -> Edge:
    return Edge(Verified([Words()], ANONYMOUS), CallMetrics(CollectorRegistry()), limits or Limits(), log)


def rpc_of(servicer: Probe, edge: Edge, transport: Transport | None = None) -> Rpc:
    return Rpc(edge, [(SERVICE, add_to_server, servicer)], [FILE],
               contract.descriptors, transport)  # fmt: skip


def bearer(word: str, **more: str) -> Mapping[str, str]:
    return {"authorization": f"Bearer {word}", **more}
