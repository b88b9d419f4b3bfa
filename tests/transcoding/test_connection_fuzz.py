"""Any bytes at all on a connection, in any pieces: nothing breaks, and what was answered is HTTP."""

from __future__ import annotations

import asyncio
import logging
import os

import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from uvicorn.server import ServerState

from jobyard_server.transcoding.http_connection import Connection

EXAMPLES = int(os.environ.get("JOBYARD_FUZZ_EXAMPLES", "400"))
PIECES = (
    *(b"GET / HTTP/1.1\r\n", b"POST /a?b HTTP/1.1\r\n", b"HEAD /a%20b HTTP/1.0\r\n", b"OPTIONS * HTTP/1.1\r\n"),
    *(b"CONNECT a:1 HTTP/1.1\r\n", b"GET http://a/b HTTP/1.1\r\n", b"GET /\xff HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n"),
    *(b"Host: a\r\n", b"Content-Length: 5\r\n", b"Content-Length: 999999999\r\n", b"Content-Length: -1\r\n"),
    *(
        b"Transfer-Encoding: chunked\r\n",
        b"Expect: 100-continue\r\n",
        b"Connection: close\r\n",
        b"Connection: Upgrade\r\n",
    ),
    *(b"Upgrade: websocket\r\n", b"X-Forwarded-For: b\r\n", b"X: " + b"x" * 9000 + b"\r\n", b": \r\n", b" folded\r\n"),
    *(b"\r\n", b"\r\n", b"\r\n", b"hello", b"5\r\nhello\r\n", b"0\r\n\r\n", b"fffffffffffffffffff\r\n", b"\n", b"\0"),
)
streams = st.lists(st.one_of(st.sampled_from(PIECES), st.sampled_from(PIECES), st.binary(max_size=6)), max_size=16)


class Wire:
    """A transport that keeps what was written, and goes when it is closed."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def get_extra_info(self, name: str) -> object:
        return ("127.0.0.1", 1) if name in {"peername", "sockname"} else None

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None:
        """Go on: what is sent in spite of it has to be borne, too."""

    resume_reading = pause_reading


async def application(scope, receive, send) -> None:
    body = b""
    if scope["method"] == "POST":
        while (event := await receive())["type"] == "http.request":
            body += event["body"]
            if not event["more_body"]:
                break
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def talk(pieces: list[bytes]) -> Wire:
    config = uvicorn.Config(application, http=Connection, ws="none", lifespan="off", log_config=None)
    config.load()
    state, wire = ServerState(), Wire()
    connection = Connection(config, state, {}, asyncio.get_running_loop())
    connection.connection_made(wire)
    for piece in pieces:
        if not wire.closed:
            connection.data_received(piece)
        await asyncio.sleep(0)
    for _ in range(4):
        await asyncio.sleep(0)
    connection.connection_lost(None)
    async with asyncio.timeout(60):
        while state.tasks:
            await asyncio.sleep(0)
    assert not state.connections
    return wire


@given(pieces=streams, whole=st.booleans())
@settings(max_examples=EXAMPLES)
def test_nothing_on_the_wire_is_our_fault(*, pieces: list[bytes], whole: bool) -> None:
    faults: list[logging.LogRecord] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = faults.append
    rooms = logging.getLogger("jobyard_server.transcoding")
    rooms.addHandler(handler)
    try:
        wire = asyncio.run(talk([b"".join(pieces)] if whole else pieces))
    finally:
        rooms.removeHandler(handler)
    assert not faults, faults[0].getMessage()
    assert wire.written == b"" or wire.written.startswith(b"HTTP/1.1 ")
