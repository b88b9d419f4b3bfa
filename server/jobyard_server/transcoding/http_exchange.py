"""One request and its answer on an HTTP/1.1 connection, as ASGI has them: what is received, what is sent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final, Protocol

from jobyard_server.transcoding.phrases import PHRASES

Event = MutableMapping[str, Any]
Application = Callable[[Event, Callable[[], Awaitable[Event]], Callable[[Event], Awaitable[None]]], Awaitable[None]]

DRAINED: Final = 64 * 1024
"""A body that nobody read is read past up to so many bytes; beyond, closing the connection is cheaper for both."""

_LOG = logging.getLogger(__name__)
_STATUS_LINES: Final = {
    status: f"HTTP/1.1 {status} {PHRASES.get(status, '')}\r\n".encode() for status in range(100, 600)
}
_BODILESS: Final = frozenset({204, 304})
_BROKEN: Final[Event] = {
    "type": "http.response.start",
    "status": 500,
    "headers": [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"21"), (b"connection", b"close")],
}


class Line(Protocol):
    """The connection, as far as an exchange uses it."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that it lives in."""
        ...

    @property
    def common(self) -> bytes:
        """The header lines that every answer of the server carries."""
        ...

    def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    @property
    def blocked(self) -> asyncio.Event | None:
        """Set once the client has taken enough of what was sent; nothing while it takes it fast enough."""
        ...

    def read_on(self) -> None:
        """Take further parts of the body in."""
        ...

    def close(self) -> None:
        """Close after everything was sent."""
        ...

    def finished(self, exchange: Exchange) -> None:
        """Go on after an answer was sent whole."""
        ...

    def forget(self, exchange: Exchange) -> None:
        """Know that the application is done with an exchange."""
        ...


class Exchange:
    """One request and its answer. Head and body of an answer leave together where both are there."""

    __slots__ = (
        "_body",
        "_chunked",
        "_given",
        "_head",
        "_left",
        "_line",
        "_news",
        "_silent",
        "_started",
        "expected",
        "forwarded",
        "gone",
        "keep_alive",
        "over",
        "scope",
        "task",
        "waits_for_leave",
        "whole",
    )

    def __init__(
        self, line: Line, scope: Event, *, keep_alive: bool, waits_for_leave: bool, forwarded: bool = False
    ) -> None:
        """Begin with the head of a request; the client may wait for leave before it sends the body."""
        self._line = line
        self.scope = scope
        self.keep_alive = keep_alive
        self.waits_for_leave = waits_for_leave
        self.forwarded = forwarded
        """A proxy says for whom it asks."""
        self.task: asyncio.Task[None] | None = None
        self.expected = -1
        """Bytes of the body that are still to come; negative when the client did not say."""
        self.whole = False
        """All of the request has come."""
        self.over = False
        """All of the answer was sent."""
        self.gone = False
        """The client is no longer there."""
        self._body = b""
        self._given = False
        self._news: asyncio.Event | None = None
        self._head = b""
        self._started = False
        self._silent = False
        self._chunked = False
        self._left = 0

    async def run(self, application: Application) -> None:
        """Let the application answer; whatever becomes of it, the client hears an end."""
        try:
            await application(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            # The server stops and has waited long enough.
            self._line.close()
        except BaseException as error:  # noqa: BLE001 - every failure of an application is its own
            _LOG.error("the application failed", exc_info=error)
            self._break()
        else:
            if not (self.over or self.gone):
                _LOG.error("the application ended without an answer")
                self._break()
        finally:
            self._line.forget(self)

    @property
    def held(self) -> int:
        """Bytes of the body that the application has not taken yet."""
        return len(self._body)

    def take(self, part: bytes) -> None:
        """Take in a part of the body."""
        if self.expected > 0:
            self.expected -= len(part)
        if self.over:
            return
        self._body = self._body + part if self._body else part
        self.tell()

    def complete(self) -> None:
        """Know that the request has come whole."""
        self.whole = True
        self.tell()

    def lose(self) -> None:
        """Know that the client is gone."""
        self.gone = True
        self.tell()

    def tell(self) -> None:
        """Wake whoever waits for something to happen."""
        if self._news is not None:
            self._news.set()

    async def receive(self) -> Event:
        """Give the next part of the body, or the news that the client has gone or has its answer."""
        if self.waits_for_leave and not self._started:
            self.waits_for_leave = False
            self._line.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not (self.gone or self.over or self._body or (self.whole and not self._given)):
            self._line.read_on()
            if self._news is None:
                self._news = asyncio.Event()
            self._news.clear()
            await self._news.wait()
        if self.gone or self.over:
            return {"type": "http.disconnect"}
        body, self._body = self._body, b""
        self._given = self.whole
        return {"type": "http.request", "body": body, "more_body": not self.whole}

    async def send(self, event: Event) -> None:
        """Send the head, or a part of the body."""
        blocked = self._line.blocked
        if blocked is not None:
            await blocked.wait()
        if self.gone:
            return
        if self.over:
            raise RuntimeError(f"{event['type']} after the end of the answer")
        if not self._started:
            if event["type"] != "http.response.start":
                raise RuntimeError(f"{event['type']} before the start of the answer")
            self._start(event["status"], event.get("headers", ()))
        elif event["type"] == "http.response.body":
            self._write(event.get("body", b""), more=event.get("more_body", False))
        else:
            raise RuntimeError(f"{event['type']} within an answer")

    def _start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        lines = [_STATUS_LINES[status], self._line.common]
        count, length, says_close = self._line.common.count(b"\n") + 1, -1, False
        for name, value in headers:
            if name == b"transfer-encoding":
                continue
            if name == b"content-length":
                length = int(value)
            elif name == b"connection":
                says_close = b"close" in value.lower()
            lines += (name, b": ", value, b"\r\n")
            count += 1
        self._silent = status in _BODILESS or self.scope["method"] == "HEAD"
        self._left = max(length, 0)
        if length < 0 and not self._silent:
            # The end of the body is told by its last chunk, or to old clients by the end of the connection.
            self._chunked = self.scope["http_version"] != "1.0"
            self.keep_alive = self.keep_alive and self._chunked
            if self._chunked:
                lines.append(b"transfer-encoding: chunked\r\n")
                count += 1
        self.keep_alive = self.keep_alive and not says_close and (self.whole or self._is_drained_cheaply())
        lines.append(b"\r\n" if self.keep_alive or says_close else b"connection: close\r\n\r\n")
        count += 1 if self.keep_alive or says_close else 2
        head = b"".join(lines)
        # Whatever the values came from, no line of ours may hold another.
        if head.count(b"\n") != count or head.count(b"\r") != count or b"\0" in head:
            raise RuntimeError("a header holds a control character")
        self._started = True
        self._head = head
        if self._chunked:
            # The first part of a stream may take its time.
            self._line.loop.call_soon(self._flush)

    def _is_drained_cheaply(self) -> bool:
        return not self.waits_for_leave and 0 <= self.expected <= DRAINED

    def _write(self, body: bytes, *, more: bool) -> None:
        head, self._head = self._head, b""
        if self._silent:
            body = b""
        elif self._chunked:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            if not more:
                body += b"0\r\n\r\n"
        else:
            self._left -= len(body)
            if self._left < 0 and self.scope["http_version"] != "1.0":
                raise RuntimeError("the body is longer than its Content-Length")
        self._line.write(head + body)
        if not more:
            if self._left > 0 and not self._silent:
                raise RuntimeError("the body is shorter than its Content-Length")
            self.over = True
            self.tell()
            self._line.finished(self)

    def _flush(self) -> None:
        if self._head and not self.gone:
            head, self._head = self._head, b""
            self._line.write(head)

    def _break(self) -> None:
        """End an exchange that the application did not end."""
        if self.gone or self.over:
            return
        if self._started:
            # What was sent cannot be taken back: only the end of the connection tells that it is not whole.
            self._line.close()
            return
        self._start(_BROKEN["status"], _BROKEN["headers"])
        self._write(b"Internal Server Error", more=False)
