"""A backend that answers what a test told it to and keeps what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from google.protobuf.message import Message
from google.rpc import error_details_pb2

from jobyard_server.transcoding.backend import Call, Decode, ResponseMetadata, RpcFailure

Handler = Callable[[Message], Any]


class Recording:
    """Handlers by the name of their method, short or with its service; a handler gives its response, or raises."""

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}
        self.calls: list[Call] = []
        self.requests: list[Message] = []
        self.refuse: RpcFailure | None = None
        self.said = ResponseMetadata()
        self.cancelled = 0

    @property
    def request(self) -> Any:
        """The last request."""
        return self.requests[-1]

    async def unary(self, call: Call, decode: Decode) -> tuple[Message, ResponseMetadata]:
        self._admit(call)
        request = await decode()
        self.requests.append(request)
        try:
            response = self._handler(call)(request)
            return (await response if asyncio.iscoroutine(response) else response), self.said
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def stream(self, call: Call, decode: Decode) -> AsyncIterator[Message]:
        self._admit(call)
        request = await decode()
        self.requests.append(request)
        try:
            async for response in self._handler(call)(request):
                yield response
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise

    async def client_stream(self, call: Call, requests: AsyncIterator[Message]) -> tuple[Message, ResponseMetadata]:
        self._admit(call)
        self.requests += [request async for request in requests]
        return self._handler(call)(self.requests), self.said

    async def duplex(self, call: Call, requests: AsyncIterator[Message]) -> AsyncIterator[Message]:
        self._admit(call)
        async for request in requests:
            self.requests.append(request)
            yield self._handler(call)(request)

    def _admit(self, call: Call) -> None:
        self.calls.append(call)
        if self.refuse is not None:
            raise self.refuse

    def _handler(self, call: Call) -> Handler:
        return self.handlers.get(call.method) or self.handlers[call.method.rpartition("/")[2]]


def failure(code: int, message: str, reason: str = "", **metadata: str) -> RpcFailure:
    """Make a failure with its reason."""
    if not reason:
        return RpcFailure(code, message)
    return RpcFailure(code, message, (error_details_pb2.ErrorInfo(reason=reason, domain="trial", metadata=metadata),))
