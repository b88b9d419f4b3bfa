"""What a handler called without a channel finds in the place of gRPC's context."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any, NoReturn

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from jobyard_server.rpc.failures import DETAILS_KEY
from jobyard_server.transcoding.backend import Call, Metadata, ResponseMetadata, RpcFailure

_DETAILS = {
    each.DESCRIPTOR.full_name: each
    for each in (
        error_details_pb2.BadRequest,
        error_details_pb2.DebugInfo,
        error_details_pb2.ErrorInfo,
        error_details_pb2.Help,
        error_details_pb2.LocalizedMessage,
        error_details_pb2.PreconditionFailure,
        error_details_pb2.QuotaFailure,
        error_details_pb2.RequestInfo,
        error_details_pb2.ResourceInfo,
        error_details_pb2.RetryInfo,
    )
}


class Aborted(RpcFailure):
    """The handler has said itself how the call ends."""


class InProcessContext:
    """What handlers use of ``grpc.aio.ServicerContext``, over nothing but the call itself."""

    __slots__ = ("_call", "_code", "_details", "_done", "_initial", "_trailing")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._code: grpc.StatusCode | None = None
        self._details = ""
        self._initial: Metadata = ()
        self._trailing: Metadata = ()
        self._done: list[Callable[[Any], None]] | None = None

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Sequence[tuple[str, str | bytes]] = ()
    ) -> NoReturn:
        """End the call."""
        self._code, self._details = code, details
        kept = tuple(pair for pair in trailing_metadata if pair[0] != DETAILS_KEY)
        raise Aborted(code.value[0], details, _unpack(trailing_metadata), kept)

    async def abort_with_status(self, status: grpc.Status) -> NoReturn:
        """End the call with a status made elsewhere."""
        await self.abort(status.code, status.details, status.trailing_metadata)

    def verdict(self) -> Aborted | None:
        """How the call ends where the handler returned after it had set a code."""
        if self._code is None or self._code is grpc.StatusCode.OK:
            return None
        return Aborted(self._code.value[0], self._details, _unpack(self._trailing))

    def said(self) -> ResponseMetadata:
        """What the handler said beside its message."""
        return ResponseMetadata(self._initial, self._trailing)

    def finish(self) -> None:
        """Tell those who wanted to know that the call has ended."""
        for callback in self._done or ():
            callback(self)

    async def send_initial_metadata(self, initial_metadata: Sequence[tuple[str, str | bytes]]) -> None:
        """Keep what is to be said before the first message."""
        self._initial = tuple(initial_metadata)

    def set_trailing_metadata(self, trailing_metadata: Sequence[tuple[str, str | bytes]]) -> None:
        """Keep what is to be said behind the last message."""
        self._trailing = tuple(trailing_metadata)

    def trailing_metadata(self) -> Metadata:
        """What was kept."""
        return self._trailing

    def invocation_metadata(self) -> Metadata:
        """What came with the request."""
        return self._call.metadata

    def peer(self) -> str:
        """Address of the caller."""
        return self._call.peer

    def time_remaining(self) -> float | None:
        """Seconds until nobody waits any more; ``None`` without a deadline."""
        return None if self._call.deadline is None else max(0.0, self._call.deadline - monotonic())

    def set_code(self, code: grpc.StatusCode) -> None:
        """Say how the call ends once the handler returns."""
        self._code = code

    def set_details(self, details: str) -> None:
        """Say why."""
        self._details = details

    def code(self) -> grpc.StatusCode:
        """What was set."""
        return self._code or grpc.StatusCode.OK

    def details(self) -> str:
        """What was set."""
        return self._details

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Call back when the call has ended."""
        self._done = [*(self._done or ()), callback]

    def cancelled(self) -> bool:
        """Whether the caller has gone: never, as its going cancels the handler."""
        return False

    def done(self) -> bool:
        """Whether the call has ended: never while its handler runs."""
        return False

    def peer_identities(self) -> None:
        """Nobody: transport identities are the transport's."""

    def peer_identity_key(self) -> None:
        """Nothing, for the same reason."""

    def auth_context(self) -> Mapping[str, Any]:
        """Nothing, for the same reason."""
        return {}

    def set_compression(self, compression: grpc.Compression) -> None:
        """Do nothing: the door compresses as its clients accept."""

    def disable_next_message_compression(self) -> None:
        """Do nothing, for the same reason."""


def _unpack(metadata: Sequence[tuple[str, str | bytes]]) -> tuple[Message, ...]:
    """The typed details among trailing metadata."""
    found: list[Message] = []
    for key, value in metadata:
        if key == DETAILS_KEY and isinstance(value, bytes):
            for packed in status_pb2.Status.FromString(value).details:
                kind = _DETAILS.get(packed.TypeName())
                if kind is not None:
                    found.append(kind.FromString(packed.value))
    return tuple(found)
