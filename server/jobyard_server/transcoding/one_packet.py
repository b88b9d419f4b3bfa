"""Lets uvicorn send an answer in one piece: it writes head and body one by one, and each write is a system call."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Gathering:
    """A transport that holds the first write of a turn of the loop back for the second."""

    __slots__ = ("_held", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: bytes | None = None

    def write(self, data: bytes) -> None:
        """Send with what was held back, or hold back until the turn is over."""
        if self._held is None:
            self._held = data
            self._loop.call_soon(self.flush)
        else:
            held, self._held = self._held, None
            self._transport.write(held + data)

    def flush(self) -> None:
        """Send what is still held back."""
        if self._held is not None:
            held, self._held = self._held, None
            self._transport.write(held)

    def close(self) -> None:
        """Close after everything was sent."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class OnePacketProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol on a gathering transport; give it to uvicorn.Config as `http`."""

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a new connection."""
        super().connection_made(Gathering(transport, self.loop))  # type: ignore[arg-type]
        connection: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        shown = None if connection is None else connection.getpeercert(binary_form=True)
        self._chain = [] if shown is None else [ssl.DER_cert_to_PEM_cert(shown)]

    @override
    def on_message_begin(self) -> None:
        """Begin a request, which knows the certificate of its client."""
        super().on_message_begin()
        if self._chain:
            self.scope["extensions"] = {"tls": {"client_cert_chain": self._chain}}
