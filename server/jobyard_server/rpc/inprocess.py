"""The REST door: calls the handlers in this process, through the same edge as gRPC."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, Final

from google.protobuf.message import Message
from google.rpc import code_pb2

from jobyard_server.rpc.context import Aborted, InProcessContext
from jobyard_server.rpc.edge import Call as EdgeCall
from jobyard_server.rpc.edge import Edge, checked
from jobyard_server.rpc.methods import Method
from jobyard_server.rpc.recording import Recording
from jobyard_server.transcoding.backend import Call, Decode, RequestRefused, ResponseMetadata, RpcFailure
from jobyard_server.transcoding.disconnects import ClientGone

DOOR: Final = "rest"

Source = Decode | AsyncIterator[Message]
"""What the handler is called with comes from: one message that is to be decoded, or all that the caller sends."""


class InProcessBackend:
    """Implements ``transcoding.backend.Backend``."""

    def __init__(self, edge: Edge, methods: Mapping[str, Method], handlers: Recording) -> None:
        self._edge = edge
        self._methods = methods
        self._unary = handlers.unary
        self._streaming = handlers.streaming

    async def unary(self, call: Call, decode: Decode) -> tuple[Message, ResponseMetadata]:
        """Answer one request with one response."""
        return await self._one(call, decode)

    async def client_stream(self, call: Call, requests: AsyncIterator[Message]) -> tuple[Message, ResponseMetadata]:
        """Answer a stream of requests with one response."""
        return await self._one(call, requests)

    def stream(self, call: Call, decode: Decode) -> AsyncGenerator[Message, None]:
        """Answer one request with a stream."""
        return self._many(call, decode)

    def duplex(self, call: Call, requests: AsyncIterator[Message]) -> AsyncGenerator[Message, None]:
        """Answer a stream of requests with a stream of responses."""
        return self._many(call, requests)

    async def _one(self, call: Call, source: Source) -> tuple[Message, ResponseMetadata]:
        context = InProcessContext(call)
        passing = self._open(call)
        try:
            await passing.admit()
            request = checked(await source()) if callable(source) else _each(source)
            async with passing.unary_limit():
                response = await self._unary[call.method](request, context)
            _settle(response, context)
        except BaseException as problem:  # noqa: BLE001 - every end of a call is told, cancels included
            raise _told(passing, problem) from None
        finally:
            context.finish()
        passing.succeeded()
        return response, context.said()

    async def _many(self, call: Call, source: Source) -> AsyncGenerator[Message, None]:
        context = InProcessContext(call)
        passing = self._open(call)
        try:
            await passing.admit()
            request = checked(await source()) if callable(source) else _each(source)
            responses = self._streaming[call.method](request, context)
            async with aclosing(_timed(passing, responses)) as timed:
                async for response in timed:
                    yield response
            _verdict(context)
        except BaseException as problem:  # noqa: BLE001 - every end of a call is told, cancels included
            raise _told(passing, problem) from None
        finally:
            context.finish()
        passing.succeeded()

    def _open(self, call: Call) -> EdgeCall:
        method, headers = self._methods[call.method], dict(call.metadata)
        return self._edge.open(method, headers, call.deadline, call.peer, DOOR, certificate=call.certificate)


async def _each(requests: AsyncIterator[Message]) -> AsyncIterator[Message]:
    async for request in requests:
        yield checked(request)


async def _timed(passing: EdgeCall, responses: Any) -> AsyncGenerator[Message, None]:
    """The responses, each awaited within the time of the call.

    Each is timed by itself and told who is calling: whoever takes the responses may do so from one task or several.
    """
    async with aclosing(responses):
        while True:
            passing.resume()
            try:
                async with passing.stream_limit():
                    response = await anext(responses)
            except StopAsyncIteration:
                return
            yield response


def _settle(response: Message | None, context: InProcessContext) -> None:
    """Refuse what gRPC would refuse: a code set without an abort, or no message at all."""
    _verdict(context)
    if response is None:
        raise TypeError("the handler returned no message")


def _verdict(context: InProcessContext) -> None:
    if (verdict := context.verdict()) is not None:
        raise verdict


def _told(passing: EdgeCall, problem: BaseException) -> BaseException:
    """End the call, and say how in the words of the transcoder."""
    if isinstance(problem, Aborted):
        passing.ended_otherwise(code_pb2.Code.Name(problem.code))
    elif isinstance(problem, ClientGone):
        passing.ended_otherwise("CANCELLED")
    elif isinstance(problem, RequestRefused):
        passing.ended_otherwise("INVALID_ARGUMENT", problem.reason)
    elif (failure := passing.failed(problem)) is not None:
        return RpcFailure(failure.code, failure.message, failure.details)
    return problem
