"""The gRPC door: one interceptor that takes the bytes of a call through the edge to its handler."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from time import monotonic
from typing import Any, Final, TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import Message
from typing_extensions import override

from jobyard_server.rpc.edge import Call, Edge, checked
from jobyard_server.rpc.failures import STATUS_CODES
from jobyard_server.rpc.methods import Method
from jobyard_server.rpc.room import Room

Handler: TypeAlias = Any
"""grpc.RpcMethodHandler, whose attributes its stubs leave out."""
Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
Find: TypeAlias = Callable[[grpc.HandlerCallDetails], Awaitable[Handler]]

DOOR: Final = "grpc"


class EdgeInterceptor(grpc.aio.ServerInterceptor):
    """Puts the edge around every handler.

    The handlers that gRPC sees take bytes, so a request is decoded only after its caller was admitted.
    """

    def __init__(self, edge: Edge, methods: Mapping[str, Method]) -> None:
        self._edge = edge
        self._methods = methods
        self._guarded: dict[str, Handler] = {}

    @override
    async def intercept_service(self, continuation: Find, handler_call_details: grpc.HandlerCallDetails) -> Handler:
        """Find the guarded handler of a method, which is made at its first call."""
        path = handler_call_details.method
        guarded = self._guarded.get(path)
        if guarded is not None:
            return guarded
        handler = await continuation(handler_call_details)
        method = self._methods.get(path)
        if handler is None or method is None:
            return None
        return self._guarded.setdefault(path, _guard(self._edge, method, handler))


def _guard(edge: Edge, method: Method, handler: Handler) -> Handler:
    door = _Door(edge, method, handler)
    match handler.request_streaming, handler.response_streaming:
        case False, False:
            return grpc.unary_unary_rpc_method_handler(door.one)
        case True, False:
            return grpc.stream_unary_rpc_method_handler(door.one)
        case False, True:
            return grpc.unary_stream_rpc_method_handler(door.many, response_serializer=handler.response_serializer)
        case _:
            return grpc.stream_stream_rpc_method_handler(door.many, response_serializer=handler.response_serializer)


class _Door:
    """Calls one handler through the edge."""

    def __init__(self, edge: Edge, method: Method, handler: Handler) -> None:
        self._edge = edge
        self._method = method
        self._parse = handler.request_deserializer
        self._print = handler.response_serializer
        self._run = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        self._take: Callable[[Any, Room], Any] = self._each if handler.request_streaming else self._only
        self._most = method.most_bytes or edge.limits.request_bytes
        # What a method says to take as a whole it keeps as a whole; other streams are read message by message.
        self._keeps = handler.request_streaming and bool(method.most_bytes)

    async def one(self, incoming: Any, context: Context) -> bytes:
        """Answer with one message."""
        call, room = self._open(context), self._room()
        try:
            await call.admit()
            request = self._take(incoming, room)
            async with call.unary_limit():
                response = await self._run(request, context)
            answer: bytes = self._print(response)
        except BaseException as problem:  # noqa: BLE001 - every end of a call is told, cancels included
            raise await _told(call, problem, context) from None
        finally:
            room.close()
        call.succeeded()
        return answer

    async def many(self, incoming: Any, context: Context) -> None:
        """Answer with a stream of messages."""
        call, room = self._open(context), self._room()
        try:
            await call.admit()
            request = self._take(incoming, room)
            async with call.stream_limit():
                await _pour(self._run(request, context), context)
        except BaseException as problem:  # noqa: BLE001 - every end of a call is told, cancels included
            raise await _told(call, problem, context) from None
        finally:
            room.close()
        call.succeeded()

    def _room(self) -> Room:
        return Room(self._edge.budget, self._most, kept=self._keeps)

    def _open(self, context: Context) -> Call:
        # The stubs do not know that a call without a deadline has no time that remains.
        remaining: float | None = context.time_remaining()
        deadline = None if remaining is None else monotonic() + remaining
        headers = dict(context.invocation_metadata() or ())
        certificate = _certificate(context) if self._edge.limits.certificates else ""
        return self._edge.open(self._method, headers, deadline, context.peer(), DOOR, certificate=certificate)

    def _only(self, data: bytes, room: Room) -> Message:
        room.take(len(data))
        return checked(self._parse(data))

    async def _each(self, requests: AsyncIterator[bytes], room: Room) -> AsyncIterator[Message]:
        async for data in requests:
            room.take(len(data))
            yield checked(self._parse(data))


def _certificate(context: Context) -> str:
    """The certificate that the client's connection was made with, as PEM."""
    shown = context.auth_context().get("x509_pem_cert", ())
    return "".join(each.decode("ascii") for each in shown)


async def _pour(responses: Any, context: Context) -> None:
    """Send what the handler yields; one that writes by itself is only awaited."""
    if not hasattr(responses, "__aiter__"):
        await responses
        return
    async with aclosing(responses):
        async for response in responses:
            await context.write(response)


async def _told(call: Call, problem: BaseException, context: Context) -> BaseException:
    """End the call with what its caller may know of the problem, or hand the problem on."""
    failure = call.failed(problem)
    if failure is not None:
        await context.abort(STATUS_CODES[failure.code], failure.message, failure.trailers())
    return problem
