"""Calls the probe service by either door, and tells the outcome in one form, so that a test holds for both."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from jobyard_server.rpc.inprocess import InProcessBackend
from jobyard_server.transcoding.backend import Call, RpcFailure
from support import probing

DETAILS = (
    error_details_pb2.ErrorInfo,
    error_details_pb2.BadRequest,
    error_details_pb2.RetryInfo,
    error_details_pb2.RequestInfo,
)


@dataclass
class Outcome:
    """How a call ended."""

    code: str
    message: str = ""
    details: dict[str, Message] = field(default_factory=dict)
    responses: list[Any] = field(default_factory=list)
    trailing: Mapping[str, Any] = field(default_factory=dict)

    @property
    def info(self) -> error_details_pb2.ErrorInfo:
        return self.details["ErrorInfo"]

    @property
    def fields(self) -> dict[str, str]:
        found = self.details["BadRequest"].field_violations
        return {violation.field: violation.description for violation in found}


class GrpcDoor:
    """Calls over a channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = probing.Stub(channel)

    async def call(
        self, method: str, request: Any, metadata: Mapping[str, str] | None = None, seconds: float | None = None
    ) -> Outcome:
        many_in = isinstance(request, list)
        call = getattr(self._stub, method)(
            iter_of(request) if many_in else request, metadata=tuple((metadata or {}).items()), timeout=seconds
        )
        responses: list[Any] = []
        try:
            if hasattr(call, "__aiter__"):
                await _take(call, responses)
            else:
                responses.append(await call)
        except grpc.aio.AioRpcError as error:
            return Outcome(error.code().name, error.details() or "", _of_trailers(error.trailing_metadata()), responses)
        return Outcome("OK", responses=responses, trailing=dict(await call.trailing_metadata()))


class InProcessDoor:
    """Calls as the transcoder does."""

    def __init__(self, backend: InProcessBackend) -> None:
        self._backend = backend

    async def call(
        self, method: str, request: Any, metadata: Mapping[str, str] | None = None, seconds: float | None = None
    ) -> Outcome:
        deadline = None if seconds is None else time.monotonic() + seconds
        given = tuple((name.lower(), value) for name, value in (metadata or {}).items())
        call = Call(f"/{probing.SERVICE}/{method}", given, deadline, "ipv4:127.0.0.1:1")
        responses: list[Any] = []
        trailing: Mapping[str, Any] = {}

        async def decode() -> Message:
            return request

        try:
            match method:
                case "Count":
                    await _take(self._backend.stream(call, decode), responses)
                case "Chat":
                    await _take(self._backend.duplex(call, iter_of(request)), responses)
                case "Collect":
                    response, said = await self._backend.client_stream(call, iter_of(request))
                    responses.append(response)
                case _:
                    response, said = await self._backend.unary(call, decode)
                    responses.append(response)
                    trailing = dict(said.trailing)
        except RpcFailure as failure:
            details = {type(each).DESCRIPTOR.name: each for each in failure.details}
            return Outcome(code_pb2.Code.Name(failure.code), failure.message, details, responses)
        return Outcome("OK", responses=responses, trailing=trailing)


async def iter_of(requests: Iterable[Any]) -> AsyncIterator[Any]:
    for request in requests:
        yield request


async def _take(stream: AsyncIterator[Any], responses: list[Any]) -> None:
    """Keep what came before a failure."""
    async for response in stream:
        responses.append(response)  # noqa: PERF401 - a comprehension would lose them


def _of_trailers(metadata: Any) -> dict[str, Message]:
    text = dict(metadata or ()).get("grpc-status-details-bin")
    if text is None:
        return {}
    found = {}
    for packed in status_pb2.Status.FromString(text).details:
        for kind in DETAILS:
            if packed.Is(kind.DESCRIPTOR):
                found[kind.DESCRIPTOR.name] = kind.FromString(packed.value)
    return found
