"""Connections as clients that know no HTTP library see them: order, bounds, and how they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import uvicorn
import uvloop

from jobyard_server.transcoding import http_connection, http_exchange
from jobyard_server.transcoding.http_connection import Connection


class Served:
    """The application of these tests: what it does stands in the path, what it saw is kept."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.go_on = asyncio.Event()

    async def __call__(self, scope, receive, send) -> None:
        self.heard.append(scope["path"])
        act = getattr(self, "on_" + scope["path"].strip("/"), None)
        if act is None:
            await answer(send, scope["path"].encode() + b"?" + scope["query_string"])
        else:
            await act(scope, receive, send)

    async def on_echo(self, _scope, receive, send) -> None:
        body, more = b"", True
        while more:
            event = await receive()
            body, more = body + event["body"], event["more_body"]
        await answer(send, body)

    async def on_slow(self, _scope, _receive, send) -> None:
        await self.go_on.wait()
        await answer(send, b"slow")

    async def on_refuse(self, _scope, _receive, send) -> None:
        await answer(send, b"no", status=401)

    async def on_stream(self, _scope, _receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await self.go_on.wait()
        await send({"type": "http.response.body", "body": b"two"})

    async def on_split(self, _scope, _receive, send) -> None:
        await answer(send, b"x", (b"x-said", b"a\r\nset-cookie: b"))

    async def on_fail(self, _scope, _receive, _send) -> None:
        raise ValueError("a bug")

    async def on_late(self, _scope, _receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
        await send({"type": "http.response.body", "body": b"some", "more_body": True})
        raise ValueError("a bug")

    async def on_gone(self, _scope, receive, _send) -> None:
        await receive()
        self.heard.append((await receive())["type"])

    async def on_who(self, scope, _receive, send) -> None:
        await answer(send, f"{scope['scheme']} {scope['client'][0]}".encode())


async def answer(send, body: bytes, *headers: tuple[bytes, bytes], status: int = 200) -> None:
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})


async def pour(writer: asyncio.StreamWriter, part: bytes, seconds: float) -> None:
    """Send far more than anybody takes, for as long as it may last."""
    async with asyncio.timeout(seconds):
        for _ in range(1000):
            writer.write(part)
            await writer.drain()


@asynccontextmanager
async def serving(served: Served, **settings) -> AsyncIterator[tuple[uvicorn.Server, int]]:
    config = uvicorn.Config(served, http=Connection, ws="none", lifespan="off", log_config=None, port=0, **settings)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
    try:
        yield server, server.servers[0].sockets[0].getsockname()[1]
    finally:
        served.go_on.set()
        server.should_exit = True
        await running


@pytest.fixture
def served() -> Served:
    return Served()


@pytest.fixture
async def port(served: Served) -> AsyncIterator[int]:
    async with serving(served) as (_, number):
        yield number


@asynccontextmanager
async def talking(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


async def exchange(port: int, *sent: bytes, pause: float = 0.02) -> bytes:
    """Send the parts one after the other and give all that comes until the server closes."""
    async with talking(port) as (reader, writer):
        for number, part in enumerate(sent):
            if number:
                await asyncio.sleep(pause)
            writer.write(part)
        async with asyncio.timeout(60):
            return await reader.read()


LAST = b"Connection: close\r\n\r\n"


async def test_answers_keep_the_order_of_pipelined_requests(port: int, served: Served) -> None:
    first = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
    rest = b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(5))
    last = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n" + LAST + b"body"
    asyncio.get_running_loop().call_later(0.05, served.go_on.set)
    heard = await exchange(port, first + rest + last)
    ends = [part.split(b"\r\n\r\n")[1] for part in heard.split(b"HTTP/1.1 ")[1:]]
    assert ends == [b"slow", b"/0?", b"/1?", b"/2?", b"/3?", b"/4?", b"body"]


async def test_no_more_than_some_requests_wait(port: int, served: Served) -> None:
    asyncio.get_running_loop().call_later(0.05, served.go_on.set)
    heard = await exchange(port, b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n" * 5000)
    assert heard.count(b"HTTP/1.1 200") == http_connection.PIPELINED
    assert heard.count(b"connection: close") == 1


async def test_requests_come_in_any_pieces(port: int) -> None:
    whole = (
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" + LAST + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    heard = await exchange(port, *(whole[at : at + 7] for at in range(0, len(whole), 7)), pause=0.002)
    assert heard.endswith(b"\r\n\r\nabcde")


async def test_queries_and_encodings_reach_the_application(port: int) -> None:
    heard = await exchange(port, b"GET /a%20b?c=d%26 HTTP/1.1\r\nHost: a\r\n" + LAST)
    assert heard.endswith(b"\r\n\r\n/a b?c=d%26")
    heard = await exchange(port, b"GET http://elsewhere/p?q#f HTTP/1.1\r\nHost: a\r\n" + LAST)
    assert heard.endswith(b"\r\n\r\n/p?q")


@pytest.mark.parametrize(
    "nonsense",
    [b"hello\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n"],
)
async def test_nonsense_is_a_400(port: int, nonsense: bytes) -> None:
    heard = await exchange(port, nonsense)
    assert heard.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"connection: close" in heard


async def test_nonsense_behind_a_request_does_not_cost_its_answer(port: int, served: Served) -> None:
    asyncio.get_running_loop().call_later(0.05, served.go_on.set)
    heard = await exchange(port, b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n\x00\x01nonsense\r\n\r\n")
    assert heard.startswith(b"HTTP/1.1 200")
    assert heard.endswith(b"slow")


async def test_a_head_may_not_grow_without_end(port: int) -> None:
    line = b"X-A: " + b"a" * 30_000 + b"\r\n"
    heard = await exchange(port, b"GET / HTTP/1.1\r\n", *[line] * 6)
    assert heard.startswith(b"HTTP/1.1 431 ")


async def test_a_head_may_not_take_for_ever(port: int, monkeypatch) -> None:
    monkeypatch.setattr(http_connection, "HEAD_SECONDS", 0.2)
    began = asyncio.get_running_loop().time()
    heard = await exchange(port, b"GET / HT", b"TP/1.1\r\n", b"Host: a\r\n", b"X-A:", pause=0.05)
    assert heard == b""
    assert asyncio.get_running_loop().time() - began < 30


async def test_silent_connections_are_closed(served: Served) -> None:
    async with serving(served, timeout_keep_alive=1.0) as (_, port):
        assert await exchange(port) == b""
        heard = await exchange(
            port, b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /y HTTP/1.1\r\nHost: a\r\n\r\n", pause=0.15
        )
        assert heard.count(b"HTTP/1.1 200") == 2
        assert b"connection: close" not in heard


async def test_a_body_that_nobody_read_ends_the_connection(port: int) -> None:
    head = b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n"
    heard = await exchange(port, head, b"x" * 300_000, pause=0.01)
    assert heard.startswith(b"HTTP/1.1 401 ")
    assert b"connection: close" in heard


async def test_a_small_one_does_not(port: int) -> None:
    head = b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
    heard = await exchange(port, head, b"x" * 10 + b"GET /on HTTP/1.1\r\nHost: a\r\n" + LAST)
    assert heard.startswith(b"HTTP/1.1 401 ")
    assert heard.endswith(b"/on?")


async def test_a_refused_client_cannot_send_for_ever(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "LINGER_BYTES", 1024 * 1024)
    async with talking(port) as (reader, writer):
        writer.write(b"POST /refuse HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 401 ")
        with pytest.raises(ConnectionError):
            await pour(writer, b"10000\r\n" + b"x" * 0x10000 + b"\r\n", 60)


async def test_leave_to_send_is_given_when_the_body_is_wanted(port: int) -> None:
    head = b"POST /%b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n"
    heard = await exchange(port, head % b"echo" + LAST, b"hi")
    assert heard.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    heard = await exchange(port, head % b"refuse" + b"\r\n")
    assert heard.startswith(b"HTTP/1.1 401 ")
    assert b"connection: close" in heard


async def test_streams_are_chunked_and_begin_at_once(port: int, served: Served) -> None:
    async with talking(port) as (reader, writer), asyncio.timeout(60):
        writer.write(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in head
        assert await reader.readexactly(8) == b"3\r\none\r\n"
        served.go_on.set()
        assert await reader.readexactly(13) == b"3\r\ntwo\r\n0\r\n\r\n"


async def test_old_clients_get_the_end_of_the_connection(port: int, served: Served) -> None:
    served.go_on.set()
    heard = await exchange(port, b"GET /stream HTTP/1.0\r\n\r\n")
    assert heard.endswith(b"connection: close\r\n\r\nonetwo")


async def test_no_header_can_hold_another(port: int, caplog) -> None:
    heard = await exchange(port, b"GET /split HTTP/1.1\r\nHost: a\r\n" + LAST)
    assert heard.startswith(b"HTTP/1.1 500 ")
    assert b"set-cookie" not in heard
    assert "control character" in caplog.text


async def test_failures_are_answered_or_break_the_answer(port: int, caplog) -> None:
    assert (await exchange(port, b"GET /fail HTTP/1.1\r\nHost: a\r\n\r\n")).startswith(b"HTTP/1.1 500 ")
    heard = await exchange(port, b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
    assert heard.endswith(b"content-length: 9\r\n\r\nsome")
    assert caplog.text.count("ValueError: a bug") == 2


async def test_the_application_hears_that_its_client_has_gone(port: int, served: Served) -> None:
    async with talking(port) as (_, writer):
        writer.write(b"GET /gone HTTP/1.1\r\nHost: a\r\n\r\n")
        async with asyncio.timeout(60):
            while not served.heard:
                await asyncio.sleep(0.005)
    async with asyncio.timeout(60):
        while served.heard[-1] != "http.disconnect":
            await asyncio.sleep(0.005)


async def test_a_body_that_nobody_takes_fills_no_memory(port: int) -> None:
    async with talking(port) as (_, writer):
        writer.write(b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
        with pytest.raises(TimeoutError):
            await pour(writer, b"x" * 100_000, 0.5)


async def test_proxies_on_this_machine_say_for_whom_they_ask(port: int) -> None:
    said = b"X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n"
    assert (await exchange(port, b"GET /who HTTP/1.1\r\nHost: a\r\n" + said + LAST)).endswith(b"https 192.0.2.7")
    assert (await exchange(port, b"GET /who HTTP/1.1\r\nHost: a\r\n" + LAST)).endswith(b"http 127.0.0.1")


async def test_other_protocols_are_not_taken_up(port: int) -> None:
    asked = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    heard = await exchange(port, asked)
    assert heard.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in heard


async def test_a_full_server_says_so(served: Served) -> None:
    async with serving(served, limit_concurrency=1) as (_, port):
        heard = await exchange(port, b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        assert heard.startswith(b"HTTP/1.1 503 ")
        assert served.heard == []


async def test_stopping_lets_answers_out_and_closes_the_rest(served: Served) -> None:
    async with serving(served) as (server, port), talking(port) as (idle, _):
        busy = asyncio.create_task(exchange(port, b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"))
        while not served.heard:
            await asyncio.sleep(0.005)
        server.should_exit = True
        async with asyncio.timeout(60):
            assert await idle.read() == b""
        served.go_on.set()
        heard = await busy
        assert b"connection: close" in heard
        assert heard.endswith(b"slow")


def test_the_same_holds_on_uvloop() -> None:
    async def talk() -> bytes:
        served = Served()
        async with serving(served) as (_, port):
            await test_a_body_that_nobody_read_ends_the_connection(port)
            await test_requests_come_in_any_pieces(port)
            return await exchange(port, b"GET /x HTTP/1.1\r\nHost: a\r\n" + LAST)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(talk()).endswith(b"/x?")


def test_what_is_drained_is_bounded_by_what_may_be_sent() -> None:
    assert http_exchange.DRAINED < http_connection.LINGER_BYTES
