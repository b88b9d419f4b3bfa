"""The transcoder behind a real HTTP server: what only sockets show."""

from __future__ import annotations

import asyncio
import io
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
import uvicorn
from google.api import httpbody_pb2

from jobyard_server.transcoding.app import Transcoder
from jobyard_server.transcoding.http_connection import Connection
from jobyard_server.transcoding.settings import Settings
from support.recording import Recording, failure
from support.trial import make, service


@pytest.fixture(params=["httptools", Connection], ids=["of uvicorn", "our own"])
async def base(request, backend: Recording) -> AsyncIterator[str]:
    names = ("rules.RulesService", "feed.FeedService", "orders.OrderService")
    app = Transcoder([service(name) for name in names], backend, Settings(watch_after=0.02))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", http=request.param, ws="none")
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve([listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await running


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


async def test_requests_on_one_connection(base: str, session, backend: Recording) -> None:
    backend.handlers["One"] = lambda request: request
    for number in range(20):
        async with session.get(f"{base}/v1/one/a%2Fb%20{number}") as answer:
            assert answer.status == 200
            assert await answer.json() == {"name": f"a/b {number}"}


async def test_many_at_once(base: str, session, backend: Recording) -> None:
    async def slow(request):
        await asyncio.sleep(0.05)
        return request

    backend.handlers["One"] = slow

    async def one(number: int) -> str:
        async with session.get(f"{base}/v1/one/{number}") as answer:
            return (await answer.json())["name"]

    assert await asyncio.gather(*map(one, range(80))) == [str(number) for number in range(80)]


async def test_head_and_no_content_have_no_body_on_the_wire(base: str, backend: Recording) -> None:
    backend.handlers["One"] = lambda request: request
    host, port = base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"HEAD /v1/one/x HTTP/1.1\r\nHost: a\r\n\r\nGET /v1/one/y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    answers = await reader.read()
    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert answers.endswith(b'\r\n\r\n{"name":"y"}')
    assert b'"x"' not in answers
    writer.close()


async def test_chunked_and_compressed_uploads(base: str, session, backend: Recording) -> None:
    backend.handlers["Seal"] = lambda request: request

    async def pieces():
        yield b'{"tags":["'
        yield b"x" * 100_000
        yield b'"]}'

    headers = {"Content-Type": "application/json"}
    url = f"{base}/v1/shelves/1/books/a:seal"
    async with session.post(url, data=pieces(), headers=headers, compress="gzip") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Encoding"] == "gzip"
        assert (await answer.json())["tags"] == ["x" * 100_000]


async def test_an_oversized_upload_is_refused_before_it_is_over(base: str, session) -> None:
    headers = {"Content-Type": "application/json"}
    async with session.post(f"{base}/shop/v2/orders", data=io.BytesIO(b"x" * 5_000_000), headers=headers) as answer:
        assert answer.status == 413


async def test_events_arrive_while_the_stream_is_open(base: str, session, backend: Recording) -> None:
    told = asyncio.Event()

    async def watch(_request):
        yield make("feed.WatchResponse", token="1")
        await told.wait()
        yield make("feed.WatchResponse", token="2")
        raise failure(14, "gone")

    backend.handlers["Watch"] = watch
    async with session.get(f"{base}/feed/x", headers={"Accept": "text/event-stream"}) as answer:
        first = await answer.content.readuntil(b"data: {}\n\n")
        assert b"id: 1" in first
        told.set()
        rest = await answer.content.read()
    assert b"id: 2" in rest
    assert rest.endswith(b'event: error\ndata: {"status":503,"message":"gone"}\n\n')


async def test_leaving_cancels_streams_and_calls(base: str, session, backend: Recording) -> None:
    begun = asyncio.Event()

    async def forever(_request):
        begun.set()
        await asyncio.sleep(600)

    async def watch(_request):
        begun.set()
        yield make("feed.WatchResponse", token="1")
        await asyncio.sleep(600)

    async def read(path):
        async with session.get(base + path) as answer:
            await answer.read()

    backend.handlers["One"] = forever
    backend.handlers["Watch"] = watch
    for path in ("/v1/one/x", "/feed/x"):
        begun.clear()
        reading = asyncio.create_task(read(path))
        await begun.wait()
        await asyncio.sleep(0.1)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    async with asyncio.timeout(60):
        while backend.cancelled < 2:
            await asyncio.sleep(0.01)


async def test_exact_bytes_that_break_off_break_the_connection(base: str, session, backend: Recording) -> None:
    async def pages(_request):
        yield httpbody_pb2.HttpBody(content_type="text/csv", data=b"1\n")
        raise failure(14, "gone")

    backend.handlers["Pages"] = pages
    with pytest.raises(aiohttp.ClientPayloadError):
        async with session.get(f"{base}/v1/pages/x") as answer:
            await answer.read()


async def test_no_body_is_read_of_a_caller_who_is_not_let_in(base: str, backend: Recording) -> None:
    backend.refuse = failure(16, "who are you?")
    host, port = base.removeprefix("http://").split(":")
    for length in (100_000, 4_000_000_000):
        reader, writer = await asyncio.open_connection(host, int(port))
        head = "POST /v1/shelves/1/books/a:seal HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {length}\r\n\r\n".encode())
        async with asyncio.timeout(60):
            assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
        writer.close()
        await writer.wait_closed()
    assert backend.requests == []


async def test_talking_both_ways(base: str, session, backend: Recording) -> None:
    backend.handlers["Chat"] = lambda request: make("rules.Book", name=request.name.upper())
    heard = asyncio.Event()

    async def say():
        yield b'{"name":"a"}\n'
        await asyncio.wait_for(heard.wait(), 60)
        yield b'{"name":"b"}\n'

    headers = {"Content-Type": "application/x-ndjson"}
    async with session.post(f"{base}/v1/chat", data=say(), headers=headers) as answer:
        assert await answer.content.readline() == b'{"name":"A"}\n'
        heard.set()
        assert await answer.content.readline() == b'{"name":"B"}\n'
