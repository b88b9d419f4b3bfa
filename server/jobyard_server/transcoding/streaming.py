"""Runs streaming methods over HTTP: requests out of a body, responses into one, errors told wherever they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import msgspec
from google.protobuf.message import Message

from jobyard_server.transcoding.backend import Decode
from jobyard_server.transcoding.binding import NO_CONTENT, Content, Item
from jobyard_server.transcoding.body import chunks, may_have_body
from jobyard_server.transcoding.disconnects import ClientGone, Presence
from jobyard_server.transcoding.media import NDJSON
from jobyard_server.transcoding.refusals import refused
from jobyard_server.transcoding.reply import SANDBOX, content_type
from jobyard_server.transcoding.sending import Send, Sender
from jobyard_server.transcoding.visit import Visit

_slices = msgspec.json.Decoder(list[msgspec.Raw]).decode


async def requests(visit: Visit, presence: Presence, longest: int) -> AsyncIterator[Message]:
    """Give the messages of a request body: JSON documents one a line or in an array, or its bytes as they come."""
    if visit.operation.exact_in:
        async for message in _exact(visit, presence):
            yield message
        return
    if not may_have_body(visit.request.headers):
        presence.body_over = True
        return
    visit.form()
    request, binder = visit.request, visit.operation.binder
    pieces = chunks(presence, request.headers, visit.operation.intake.most)
    async for item in items(pieces, longest):
        message = binder.bind_item(item, visit.segments, request.query, request.headers)
        visit.finish(message)
        yield message
    presence.body_over = True


async def _exact(visit: Visit, presence: Presence) -> AsyncIterator[Message]:
    """Give a body as it comes: what stands around it goes into the first message, and only there."""
    request, operation = visit.request, visit.operation
    begun = False
    if may_have_body(request.headers):
        form, media_type = visit.form()
        async for piece in chunks(presence, request.headers, operation.intake.most):
            if begun:
                yield operation.binder.bind_piece(piece)
                continue
            begun = True
            message = operation.binder.bind(
                visit.segments, request.query, request.headers, Content(piece, form, media_type)
            )
            visit.finish(message)
            yield message
    presence.body_over = True
    if not begun:
        message = operation.binder.bind(visit.segments, request.query, request.headers, NO_CONTENT)
        visit.finish(message)
        yield message


async def items(pieces: AsyncIterator[bytes], longest: int) -> AsyncIterator[Item]:
    """Split a body into JSON documents: an array as a whole, lines as they come."""
    held = b""
    array: bool | None = None
    index, number = 0, 1
    async for piece in pieces:
        held += piece
        if array is None and (start := held.lstrip(b" \t\r\n")):
            array = start.startswith(b"[")
        if array is False:
            *lines, held = held.split(b"\n")
            for line in lines:
                if line.strip():
                    yield _bounded(Item(index, f"line {number}", line), longest)
                    index += 1
                number += 1
            _bounded(Item(index, f"line {number}", held), longest)
    if array:
        for place, document in enumerate(_array(held)):
            yield _bounded(Item(place, f"[{place}]", document), longest)
    elif held.strip():
        yield Item(index, f"line {number}", held)


def _bounded(item: Item, longest: int) -> Item:
    if len(item.data) > longest:
        raise refused("BODY_TOO_LARGE", f"{item.place} is larger than {longest} bytes", limit=str(longest))
    return item


def _array(held: bytes) -> list[bytes]:
    try:
        return [bytes(each) for each in _slices(held)]
    except (msgspec.DecodeError, RecursionError) as error:
        raise refused("BODY_MALFORMED", "the body is not a JSON array") from error


class ResponseStream:
    """Sends the responses of one streaming method.

    The status line waits for the first response, so that what fails before it has a status of its own. It does not wait
    for ever: clients and proxies take a server that says nothing for one that hangs.
    """

    def __init__(self, visit: Visit, sender: Sender, send: Send, head_after: float) -> None:
        assert visit.operation.stream is not None
        self._visit = visit
        self._sender = sender
        self._send = send
        self._head_after = head_after
        self._plan = visit.operation.stream
        self._framing = self._plan.framing(visit.offer)
        self._only_head = visit.request.verb == "HEAD"
        self._begun = False
        self._expecting = False
        self._limit = asyncio.timeout(None)
        self._turn = asyncio.Lock()
        """Held by whoever writes: the responses, or what fills their silence."""
        self._timer: asyncio.TimerHandle | None = None
        self._filler: asyncio.Task[None] | None = None

    def decoding(self, decode: Decode) -> Decode:
        """Make the wait for the first response begin when the request is read: what is wrong with it comes before."""

        async def decoded() -> Message:
            message = await decode()
            self._expect()
            return message

        return decoded

    async def taking(self, items: AsyncIterator[Message]) -> AsyncIterator[Message]:
        """Make the wait for the first response begin with the first request, or when there is none."""
        async for item in items:
            self._expect()
            yield item
        self._expect()

    async def run(self, messages: AsyncIterator[Message]) -> None:
        """Send a stream; what fails before its head is raised, what fails later is its last record."""
        try:
            await (self._answer_head(messages) if self._only_head else self._answer(messages))
        finally:
            await self._hush()
            # However the stream ends, whoever makes it hears of it now and not when memory is tidied.
            if isinstance(messages, AsyncGenerator):
                await messages.aclose()

    async def _answer_head(self, messages: AsyncIterator[Message]) -> None:
        first: Message | None = None
        try:
            async with self._limit:
                first = await anext(messages, None)
        except TimeoutError:
            if not self._limit.expired():
                raise
        await self._begin(first)
        await self._send({"type": "http.response.body", "body": b""})

    async def _answer(self, messages: AsyncIterator[Message]) -> None:
        visit, framing = self._visit, self._framing
        tail = b""
        try:
            async for message in messages:
                record = framing.record(message, visit.exchange)
                async with self._turn:
                    await self._write(record if self._begun else await self._begin(message) + record)
        except Exception as error:
            if not self._begun or isinstance(error, ClientGone):
                raise
            tail = framing.failure(visit.operation.failed(error, visit.request.scene()).body)
        async with self._turn:
            if not self._begun:
                tail = await self._begin(None)
            await self._send({"type": "http.response.body", "body": tail + framing.end()})

    async def _begin(self, first: Message | None) -> bytes:
        """Send the status line and the headers, and give what comes before the first record."""
        visit = self._visit
        media_type = self._plan.media_type(first, visit.exchange, visit.offer)
        self._begun = True
        headers = [content_type(media_type), (b"cache-control", b"no-store"), SANDBOX, *visit.operation.headers]
        headers += self._sender.common(visit.request)
        if media_type == NDJSON or media_type.startswith("text/"):
            # Proxies that gather an answer before they pass it on would turn a stream into silence.
            headers.append((b"x-accel-buffering", b"no"))
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        return self._framing.start()

    async def _write(self, piece: bytes) -> None:
        if piece:
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        self._wait(self._framing.keep_alive)

    def _expect(self) -> None:
        """Begin to wait for the first response; a stream of exact bytes has no head without it."""
        if self._expecting or self._plan.exact:
            return
        self._expecting = True
        if self._only_head:
            self._limit.reschedule(asyncio.get_running_loop().time() + self._head_after)
        elif not self._begun:
            self._wait(self._head_after)

    def _wait(self, seconds: float | None) -> None:
        """Let a silence of so many seconds be filled; None: let it be."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else asyncio.get_running_loop().call_later(seconds, self._break_silence)

    def _break_silence(self) -> None:
        self._filler = asyncio.get_running_loop().create_task(self._fill())

    async def _fill(self) -> None:
        async with self._turn:
            head = b"" if self._begun else await self._begin(None)
            await self._write(head + self._framing.silence)

    async def _hush(self) -> None:
        """Fill no silence any more."""
        self._wait(None)
        if self._filler is not None:
            self._filler.cancel()
            await asyncio.gather(self._filler, return_exceptions=True)
