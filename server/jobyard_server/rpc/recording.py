"""Keeps the handlers that servicers register, so that they can be called without a channel."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from google.protobuf.message import Message

Unary = Callable[[Any, Any], Awaitable[Message]]
Streaming = Callable[[Any, Any], AsyncIterator[Message]]


class Recording:
    """Stands where the generated ``add_XServicer_to_server`` expects a server."""

    def __init__(self) -> None:
        self.unary: dict[str, Unary] = {}
        """Handlers with one response, by path."""
        self.streaming: dict[str, Streaming] = {}
        """Handlers with a stream of responses, by path."""

    def add_registered_method_handlers(self, service_name: str, method_handlers: Mapping[str, Any]) -> None:
        """Take what the generated code registers."""
        for name, handler in method_handlers.items():
            path = f"/{service_name}/{name}"
            if handler.response_streaming:
                run = handler.unary_stream or handler.stream_stream
                written = inspect.isasyncgenfunction(run)
                self.streaming[path] = run
            else:
                run = handler.unary_unary or handler.stream_unary
                written = inspect.iscoroutinefunction(run)
                self.unary[path] = run
            if not written:
                # The generated servicer's own methods fail this too: what is declared has to be offered.
                raise TypeError(f"{path} has to be an `async def`, one that yields where responses are a stream")

    def add_generic_rpc_handlers(self, generic_rpc_handlers: object) -> None:
        """Do nothing: the generated code registers the same handlers once more in the older way."""
