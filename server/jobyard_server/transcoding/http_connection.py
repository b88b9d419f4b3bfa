"""HTTP/1.1 connections for uvicorn's server: less work a request than its own, and bounds where that has none."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from typing import Any, Final, cast
from urllib.parse import unquote

import httptools
import uvicorn
from mypy_extensions import mypyc_attr
from typing_extensions import override
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.server import ServerState

from jobyard_server.transcoding.http_exchange import Application, Exchange

HEAD_SECONDS = 20.0
"""A head that was begun and is not whole after so long closes its connection."""
HEAD_BYTES: Final = 128 * 1024
"""So does one that grows beyond this: twice what any request may have, whose refusal is worded elsewhere."""
HELD_BYTES: Final = 64 * 1024
"""Of a body that the application does not take yet no more than this is taken in."""
PIPELINED: Final = 64
"""Requests that may wait for the answers of those before them."""
LINGER_SECONDS: Final = 5.0
"""How long a client that was refused may still send, for nothing: most read no answer before they have sent their body,
and one that is cut off never sees why."""
LINGER_BYTES = 64 * 1024 * 1024

_LOG = logging.getLogger(__name__)
_METHODS: Final = {
    each.encode(): each for each in ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT")
}
_ASGI: Final = {"version": "3.0", "spec_version": "2.3"}
_REFUSALS: Final = {400: b"Bad Request", 431: b"Request Header Fields Too Large"}
_TELLING: Final = frozenset({b"content-length", b"expect", b"x-forwarded-for", b"x-forwarded-proto"})
_TOO_MANY: Final = cast("Application", service_unavailable)
_BAD_ADDRESS: Final = (UnicodeDecodeError, httptools.HttpParserInvalidURLError)


@mypyc_attr(allow_interpreted_subclasses=True)
class Connection(asyncio.Protocol):
    """One connection; give the class to uvicorn.Config as `http`."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],  # noqa: ARG002 - uvicorn gives it to every protocol; ours has no lifespan to fill it
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Make a connection of a server of uvicorn."""
        self.loop = _loop or asyncio.get_running_loop()
        self._application, self._behind_proxy = _applications(config.loaded_app)
        self._most = config.limit_concurrency
        self._idle_seconds = config.timeout_keep_alive
        self._state = server_state
        self._common_of: list[tuple[bytes, bytes]] = []
        self._common = b""
        self._parser = httptools.HttpRequestParser(self)
        # One request may follow another although the client said that it would close.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._exchange: Exchange | None = None
        """The one whose request came last."""
        self._waiting: deque[Exchange] = deque()
        """Those whose requests came before the answers of others were sent; the first is being answered."""
        self._scope: dict[str, Any] = {}
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._in_head = False
        self._head_bytes = 0
        self._waits_for_leave = False
        self._forwarded = False
        self._expected = -1
        self._deaf = False
        self._lingered = -1
        self._since = self.loop.time()
        self._idle_timer: asyncio.TimerHandle | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        self._reading_paused = False
        self.blocked: asyncio.Event | None = None
        """Set once the client has taken enough of what was sent; nothing while it takes it fast enough."""

    # What the transport tells.

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # TCP only
        """Take a new connection."""
        self._transport = transport
        self._state.connections.add(self)  # type: ignore[arg-type] # it names its own protocols
        connection: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        self._scope = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": "1.1",
            "scheme": "http" if connection is None else "https",
            "root_path": "",
            "client": _address(transport.get_extra_info("peername")),
            "server": _address(transport.get_extra_info("sockname")),
        }
        shown = None if connection is None else connection.getpeercert(binary_form=True)
        if shown is not None:
            self._scope["extensions"] = {"tls": {"client_cert_chain": [ssl.DER_cert_to_PEM_cert(shown)]}}
        self._idle_timer = self.loop.call_later(self._idle_seconds, self._look_idle)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody that the client is gone."""
        self._state.connections.discard(self)
        for timer in (self._idle_timer, self._head_timer):
            if timer is not None:
                timer.cancel()
        self._idle_timer = self._head_timer = None
        for exchange in self._waiting:
            exchange.lose()
        self.resume_writing()

    @override
    def data_received(self, data: bytes) -> None:
        """Read what came."""
        if self._deaf:
            self._linger_on(len(data))
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nothing but HTTP/1.1 is spoken here; the request is answered and the connection ends with it.
            self._hear_no_more()
        except httptools.HttpParserError as error:
            cause = error.__context__
            if isinstance(error, httptools.HttpParserCallbackError) and not isinstance(cause, _BAD_ADDRESS):
                _LOG.error("a request could not be taken in", exc_info=error)
            self._refuse(400)
        if self._in_head:
            self._watch_head(len(data))

    @override
    def pause_writing(self) -> None:
        """Send no more for now: the client takes it slowly."""
        self.blocked = asyncio.Event()

    @override
    def resume_writing(self) -> None:
        """Send on."""
        if self.blocked is not None:
            self.blocked.set()
            self.blocked = None

    # What the parser tells.

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._url = b""
        self._headers = []
        self._in_head = True
        self._head_bytes = 0
        self._waits_for_leave = False
        self._forwarded = False
        self._expected = -1

    def on_url(self, part: bytes) -> None:
        """Take in a part of the address."""
        self._url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take in a header line."""
        name = name.lower()
        if name in _TELLING:
            if name == b"content-length":
                self._expected = int(value)
            elif name == b"expect":
                self._waits_for_leave = value.lower() == b"100-continue"
            else:
                self._forwarded = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Hand the request on, unless others are to be answered before it."""
        self._in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        if len(self._waiting) >= PIPELINED:
            self._hear_no_more()
        if self._deaf:
            self._exchange = None
            return
        parser = self._parser
        scope = self._scope.copy()
        method, version = parser.get_method(), parser.get_http_version()
        scope["method"] = _METHODS.get(method) or method.decode("ascii")
        scope["http_version"] = version
        scope["headers"] = self._headers
        scope["path"], scope["raw_path"], scope["query_string"] = _taken_apart(self._url)
        exchange = Exchange(
            self,
            scope,
            keep_alive=version != "1.0" and parser.should_keep_alive(),
            waits_for_leave=self._waits_for_leave,
            forwarded=self._forwarded,
        )
        exchange.expected = self._expected
        self._exchange = exchange
        self._waiting.append(exchange)
        if len(self._waiting) == 1:
            self._begin(exchange)
            return
        self._pause_reading()

    def on_body(self, part: bytes) -> None:
        """Take in a part of the body."""
        exchange = self._exchange
        if exchange is not None:
            exchange.take(part)
            if exchange.held > HELD_BYTES:
                self._pause_reading()

    def on_message_complete(self) -> None:
        """Know that the request is whole."""
        exchange = self._exchange
        if exchange is not None:
            exchange.complete()

    # What exchanges ask for.

    @property
    def common(self) -> bytes:
        """The header lines that every answer of the server carries: those of uvicorn's server, the date above all."""
        if self._state.default_headers is not self._common_of:
            # uvicorn's server makes a new list whenever the date changes.
            self._common_of = self._state.default_headers
            self._common = b"".join([b"%b: %b\r\n" % each for each in self._common_of])
        return self._common

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._transport.write(data)

    def read_on(self) -> None:
        """Take further parts of the body in."""
        if self._reading_paused and len(self._waiting) <= 1:
            self._reading_paused = False
            self._transport.resume_reading()

    def close(self) -> None:
        """Close after everything was sent."""
        self._transport.close()

    def finished(self, exchange: Exchange) -> None:
        """Go on after an answer was sent whole: with the next request, or with waiting for it."""
        self._state.total_requests += 1
        self._since = self.loop.time()
        self._waiting.popleft()
        if not exchange.keep_alive:
            self._end(exchange)
        elif self._waiting:
            self._begin(self._waiting[0])
        self.read_on()

    def forget(self, exchange: Exchange) -> None:
        """Know that the application is done with an exchange."""
        if exchange.task is not None:
            self._state.tasks.discard(exchange.task)

    def shutdown(self) -> None:
        """Close, once what was begun is answered; uvicorn's server asks for it when it stops."""
        if self._waiting:
            self._waiting[-1].keep_alive = False
        else:
            self._transport.close()

    # How a connection goes on, and how it ends.

    def _begin(self, exchange: Exchange) -> None:
        state, most = self._state, self._most
        crowded = most is not None and (len(state.connections) >= most or len(state.tasks) >= most)
        application = self._behind_proxy if exchange.forwarded else self._application
        exchange.task = self.loop.create_task(exchange.run(_TOO_MANY if crowded else application))
        state.tasks.add(exchange.task)

    def _end(self, exchange: Exchange) -> None:
        """Close behind the last answer; what is still being sent is let pass for a while."""
        for other in self._waiting:
            other.lose()
        self._waiting.clear()
        if exchange.whole and not self._deaf:
            self._transport.close()
            return
        self._deaf = True
        self._lingered = 0
        self.loop.call_later(LINGER_SECONDS, self._transport.close)
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _linger_on(self, size: int) -> None:
        if self._lingered >= 0:
            self._lingered += size
            if self._lingered > LINGER_BYTES:
                self._transport.close()

    def _hear_no_more(self) -> None:
        self._deaf = True
        self._in_head = False
        if self._waiting:
            self._waiting[-1].keep_alive = False
        else:
            self._transport.close()

    def _refuse(self, status: int) -> None:
        """Answer what is no request; requests that came whole before it get their answers first."""
        if self._waiting and self._waiting[-1].whole:
            self._hear_no_more()
            return
        self._deaf = True
        self._in_head = False
        self._lingered = 0
        text = _REFUSALS[status]
        self._transport.write(
            b"HTTP/1.1 %d %b\r\n%bcontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n"
            b"connection: close\r\n\r\n%b" % (status, text, self.common, len(text), text)
        )
        self._transport.close()

    def _watch_head(self, size: int) -> None:
        """Bound a head that did not come in one piece: its size now, its time by a timer."""
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES:
            self._refuse(431)
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._transport.close)

    def _look_idle(self) -> None:
        """Close a connection that nothing happens on; one timer serves all its requests."""
        until = self._since + self._idle_seconds
        if self._waiting:
            until = self.loop.time() + self._idle_seconds
        elif until <= self.loop.time() + 0.001:
            self._transport.close()
            return
        self._idle_timer = self.loop.call_at(until, self._look_idle)

    def _pause_reading(self) -> None:
        if not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()


def _applications(loaded: Any) -> tuple[Application, Application]:
    """Give the application itself, and as it is asked when a proxy says for whom.

    Only proxies on addresses that uvicorn trusts are believed; nearly all requests need not be looked at for that.
    """
    inner: Any = loaded.app if isinstance(loaded, ProxyHeadersMiddleware) else loaded
    return inner, loaded


def _address(name: Any) -> tuple[str, int] | None:
    """The address of one end of a connection, as ASGI has it."""
    return (str(name[0]), int(name[1])) if isinstance(name, (list, tuple)) else None


def _taken_apart(url: bytes) -> tuple[str, bytes, bytes]:
    """Take path and query out of what was asked for."""
    if url.startswith(b"/") and b"#" not in url:
        raw, _, query = url.partition(b"?")
    else:
        parsed = httptools.parse_url(url)
        raw, query = parsed.path or b"", parsed.query or b""
    path = raw.decode("ascii")
    return unquote(path) if "%" in path else path, raw, query
