"""Writes a stream of responses as NDJSON, server-sent events, an array or exact bytes, a late error as its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import orjson
from google.protobuf.message import Message

from jobyard.rest.v1 import media_pb2
from jobyard_server.transcoding.bodies import BodyWriter
from jobyard_server.transcoding.codec import single_line
from jobyard_server.transcoding.media import EVENT_STREAM, JSON, NDJSON, Offer
from jobyard_server.transcoding.printing import Exchange, Print, Scope
from jobyard_server.transcoding.surface import MethodSpec

OFFERS: Final = (
    Offer(NDJSON, (NDJSON, "application/jsonl", "application/jsonlines")),
    Offer(EVENT_STREAM, (EVENT_STREAM,)),
    Offer(JSON, (JSON,)),
)
"""What every stream can be written as, unless its method says `produces`."""

_KEEP_ALIVE_MILLIS = 15_000
_BREAKS = str.maketrans("\r\n\0", "   ")


class Framing(Protocol):
    """How records follow each other."""

    keep_alive: float | None
    """Seconds of silence after which `silence` is sent."""
    silence: bytes

    def start(self) -> bytes:
        """Give what comes before the first record."""
        ...

    def record(self, message: Message, exchange: Exchange) -> bytes:
        """Print one response."""
        ...

    def failure(self, body: bytes) -> bytes:
        """Print an error that came after the first record."""
        ...

    def end(self) -> bytes:
        """Give what comes after the last record."""
        ...


@dataclass(slots=True)
class _Lines:
    """NDJSON: one document a line."""

    write: BodyWriter
    offer: Offer
    keep_alive: float | None = None
    silence: bytes = b""

    def start(self) -> bytes:
        return b""

    def record(self, message: Message, exchange: Exchange) -> bytes:
        return single_line(self.write(message, exchange, self.offer)[0]) + b"\n"

    def failure(self, body: bytes) -> bytes:
        return error_record(body) + b"\n"

    def end(self) -> bytes:
        return b""


@dataclass(slots=True)
class _Array:
    """One JSON array."""

    write: BodyWriter
    offer: Offer
    begun: bool = False
    keep_alive: float | None = None
    silence: bytes = b""

    def start(self) -> bytes:
        return b"["

    def record(self, message: Message, exchange: Exchange) -> bytes:
        return self._joined(self.write(message, exchange, self.offer)[0])

    def failure(self, body: bytes) -> bytes:
        return self._joined(error_record(body))

    def end(self) -> bytes:
        return b"]"

    def _joined(self, document: bytes) -> bytes:
        first, self.begun = not self.begun, True
        return document if first else b"," + document


@dataclass(slots=True)
class _Events:
    """Server-sent events."""

    write: BodyWriter
    offer: Offer
    id: Print | None
    event: Print | None
    retry_millis: int
    keep_alive: float | None
    silence: bytes = b": keep-alive\n\n"

    def start(self) -> bytes:
        return b"retry: %d\n\n" % self.retry_millis if self.retry_millis else b""

    def record(self, message: Message, exchange: Exchange) -> bytes:
        lines = b""
        for name, text in (("id", self.id), ("event", self.event)):
            value = text(message, exchange).translate(_BREAKS) if text is not None else ""
            if value:
                lines += f"{name}: {value}\n".encode()
        return lines + b"data: " + single_line(self.write(message, exchange, self.offer)[0]) + b"\n\n"

    def failure(self, body: bytes) -> bytes:
        return b"event: error\ndata: " + single_line(body.strip()) + b"\n\n"

    def end(self) -> bytes:
        return b""


@dataclass(slots=True)
class _Exact:
    """The bytes of HttpBody messages, one after the other; nothing can be said in them about a late error."""

    write: BodyWriter
    offer: Offer
    keep_alive: float | None = None
    silence: bytes = b""

    def start(self) -> bytes:
        return b""

    def record(self, message: Message, exchange: Exchange) -> bytes:
        return self.write(message, exchange, self.offer)[0]

    def failure(self, _body: bytes) -> bytes:
        raise LateFailureError

    def end(self) -> bytes:
        return b""


class LateFailureError(Exception):
    """A stream of exact bytes broke off; the connection must end as broken too."""


class StreamPlan:
    """How the streams of one method are written, by what the client chose."""

    def __init__(self, spec: MethodSpec, scope: Scope, write: BodyWriter, *, exact: bool) -> None:
        shape: media_pb2.StreamShape = spec.stream
        self._write = write
        self.exact = exact
        """Only the first message says what the stream is."""
        self._id = scope.text(f"{{{shape.id}}}") if shape.id else None
        self._event = scope.text(f"{{{shape.event}}}") if shape.event else None
        self._retry_millis = shape.retry_millis
        self._keep_alive = (shape.keep_alive_millis or _KEEP_ALIVE_MILLIS) / 1000

    def framing(self, offer: Offer) -> Framing:
        """Make the framing of one stream."""
        if self.exact:
            return _Exact(self._write, offer)
        kind = offer.names[0]
        if kind == EVENT_STREAM:
            return _Events(self._write, offer, self._id, self._event, self._retry_millis, self._keep_alive)
        return _Lines(self._write, offer) if kind in OFFERS[0].names else _Array(self._write, offer)

    def media_type(self, first: Message | None, exchange: Exchange, offer: Offer) -> str:
        """Give the media type: for exact bytes that of the first message."""
        if not self.exact or first is None:
            return offer.media_type
        return self._write(first, exchange, offer)[1]


def error_record(body: bytes) -> bytes:
    """Make an error tellable from a record: an object whose only member is `error`."""
    try:
        tree = orjson.loads(body)
    except orjson.JSONDecodeError:
        tree = body.decode("utf-8", "replace")
    if not (isinstance(tree, dict) and tree.keys() == {"error"}):
        tree = {"error": tree}
    return orjson.dumps(tree)
