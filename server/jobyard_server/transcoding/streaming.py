"""Runs streaming methods over HTTP: requests out of a body, responses into one, errors told wherever they come."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

import msgspec
from google.protobuf.message import Message

from jobyard_server.transcoding.backend import RequestRefused, RpcFailure
from jobyard_server.transcoding.binding import NO_CONTENT, Content
from jobyard_server.transcoding.body import chunks, may_have_body, too_large
from jobyard_server.transcoding.disconnects import Presence
from jobyard_server.transcoding.media import NDJSON
from jobyard_server.transcoding.refusals import refused
from jobyard_server.transcoding.reply import SANDBOX, content_type
from jobyard_server.transcoding.sending import Send, Sender
from jobyard_server.transcoding.stream import Framing, StreamPlan, first_of, pump
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
    async for document in documents(pieces, longest):
        message = binder.bind_item(document, visit.segments, request.query, request.headers)
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


async def documents(pieces: AsyncIterator[bytes], longest: int) -> AsyncIterator[bytes]:
    """Split a body into JSON documents: an array as a whole, lines as they come."""
    held = b""
    array: bool | None = None
    async for piece in pieces:
        held += piece
        if array is None and (start := held.lstrip(b" \t\r\n")):
            array = start.startswith(b"[")
        if array is False:
            *lines, held = held.split(b"\n")
            for line in lines:
                if line.strip():
                    yield line
            if len(held) > longest:
                raise too_large(longest)
    if array:
        for document in _array(held):
            yield document
    elif held.strip():
        yield held


def _array(held: bytes) -> list[bytes]:
    try:
        return [bytes(each) for each in _slices(held)]
    except (msgspec.DecodeError, RecursionError) as error:
        raise refused("BODY_MALFORMED", "the body is not a JSON array") from error


class ResponseStream:
    """Sends the responses of one streaming method."""

    def __init__(self, visit: Visit, sender: Sender, send: Send) -> None:
        self._visit = visit
        self._sender = sender
        self._send = send

    async def run(self, messages: AsyncIterator[Message]) -> None:
        """Send a stream; what fails before its first message is raised, what fails later is its last record."""
        plan = self._visit.operation.stream
        assert plan is not None
        try:
            await self._send_all(plan, messages)
        finally:
            # However the stream ends, whoever makes it hears of it now and not when memory is tidied.
            if isinstance(messages, AsyncGenerator):
                await messages.aclose()

    async def _send_all(self, plan: StreamPlan, messages: AsyncIterator[Message]) -> None:
        visit = self._visit
        first = await first_of(messages)
        framing = plan.framing(visit.offer)
        media_type = plan.media_type(first, visit.exchange, visit.offer)
        head = framing.start() + (framing.record(first, visit.exchange) if first is not None else b"")
        await self._start(media_type)
        if visit.request.verb == "HEAD":
            await self._send({"type": "http.response.body", "body": b""})
            return
        await self._write(head)
        if first is not None:
            await self._rest(messages, framing)
        await self._send({"type": "http.response.body", "body": framing.end()})

    async def _rest(self, messages: AsyncIterator[Message], framing: Framing) -> None:
        visit = self._visit
        try:
            await pump(messages, framing, visit.exchange, self._write)
        except (RequestRefused, RpcFailure, Exception) as error:  # noqa: BLE001 - told as the last record, and logged
            reply = visit.operation.failed(error, visit.request.scene())
            await self._write(framing.failure(reply.body))

    async def _start(self, media_type: str) -> None:
        headers = [content_type(media_type), (b"cache-control", b"no-store"), SANDBOX, *self._visit.operation.headers]
        headers += self._sender.common(self._visit.request)
        if media_type == NDJSON or media_type.startswith("text/"):
            # Proxies that gather an answer before they pass it on would turn a stream into silence.
            headers.append((b"x-accel-buffering", b"no"))
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def _write(self, piece: bytes) -> None:
        if piece:
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
