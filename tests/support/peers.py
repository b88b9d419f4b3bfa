"""A peer that is called by deliveries: a raw HTTP server that answers as well or as badly as the test wants."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self):
        return json.loads(self.body)


Behaviour = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


def reply(status=204, body=b"", **headers):
    """Answer as one should."""

    async def behave(_request, writer):
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()

    return behave


async def hang(_request, _writer):
    """Say nothing for longer than anybody waits."""
    await asyncio.sleep(600)


async def break_off(_request, writer):
    """Promise a body and reset the connection in the middle of it."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")
    await writer.drain()
    writer.transport.abort()


async def babble(_request, writer):
    """Answer in no protocol at all."""
    writer.write(b"\x00\x01\x02 hello\r\n\r\n")
    await writer.drain()
    writer.close()


def redirect(where):
    """Send the caller elsewhere."""
    return reply(302, Location=where)


OK = reply()
FAILED = reply(500, b"no")


@dataclass
class Peer:
    """Where it listens, how it behaves, and what it has been asked."""

    url: str = ""
    behaviour: Behaviour = OK
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    busy: int = 0
    most_busy: int = 0

    async def serve(self, reader, writer):
        self.connections += 1
        try:
            while (request := await _read(reader)) is not None:
                self.requests.append(request)
                self.busy += 1
                self.most_busy = max(self.most_busy, self.busy)
                try:
                    await self.behaviour(request, writer)
                finally:
                    self.busy -= 1
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def until(self, count, seconds=60.0):
        """The requests, once there are so many."""
        async with asyncio.timeout(seconds):
            while len(self.requests) < count:
                await asyncio.sleep(0.005)
        return self.requests

    def uids(self):
        return [request.headers.get("idempotency-key") for request in self.requests]


async def _read(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, body, time.monotonic())


@asynccontextmanager
async def listening(behaviour: Behaviour = OK, host: str = "127.0.0.1") -> AsyncIterator[Peer]:
    """A peer on loopback for as long as it is entered."""
    peer = Peer(behaviour=behaviour)
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader, writer):
        task = asyncio.ensure_future(peer.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, host, 0)
    peer.url = f"http://{host}:{server.sockets[0].getsockname()[1]}"
    try:
        yield peer
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def nobody_listens() -> str:
    """An address on which nobody listens."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return f"http://127.0.0.1:{port}"
