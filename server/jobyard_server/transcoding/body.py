"""Takes the body of a request in: bounded, within time, decompressed, and within what all bodies together may use."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from typing import Final

from jobyard_server.transcoding.disconnects import Event, Presence
from jobyard_server.transcoding.headers import Headers
from jobyard_server.transcoding.refusals import refused

_IDENTITY: Final = frozenset((b"", b"identity"))
_WINDOW: Final = {b"gzip": 16 + zlib.MAX_WBITS, b"x-gzip": 16 + zlib.MAX_WBITS, b"deflate": zlib.MAX_WBITS}
_MOST_MEMBERS: Final = 1024


def may_have_body(headers: Headers) -> bool:
    """Tell from the headers alone whether a body may follow."""
    length = headers.get(b"content-length")
    if length is not None:
        return length != b"0"
    return b"transfer-encoding" in headers


async def read(presence: Presence, headers: Headers, most: int) -> bytes:
    """Read a whole body of at most `most` bytes; raises RequestRefused and ClientGone."""
    _check_declared(headers, most)
    event = await presence.receive()
    if not event.get("more_body") and b"content-encoding" not in headers:
        # Nearly every body comes in one piece and as it is.
        whole: bytes = event.get("body", b"")
        if len(whole) > most:
            raise too_large(most)
        presence.claim(len(whole))
        return whole
    return b"".join([part async for part in _parts(presence, event, headers, most)])


async def chunks(presence: Presence, headers: Headers, most: int) -> AsyncIterator[bytes]:
    """Give the body piece by piece, decompressed, never more than `most` bytes in all."""
    _check_declared(headers, most)
    async for part in _parts(presence, await presence.receive(), headers, most):
        yield part


async def _parts(presence: Presence, event: Event, headers: Headers, most: int) -> AsyncIterator[bytes]:
    inflate = _inflater(headers.get(b"content-encoding", b"").strip().lower())
    total = 0
    while True:
        packed = event.get("body", b"")
        for part in inflate.feed(packed, most - total) if inflate else (packed,):
            total += len(part)
            if total > most:
                raise too_large(most)
            presence.claim(len(part))
            if part:
                yield part
        if not event.get("more_body"):
            break
        event = await presence.receive()
    if inflate is not None:
        inflate.finish()


def _check_declared(headers: Headers, most: int) -> None:
    """Refuse by its declared length what need not be received at all."""
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and len(declared) < 20 and int(declared) > most:
        raise too_large(most)


def too_large(most: int) -> Exception:
    """Build the refusal of a body that is too large."""
    return refused("BODY_TOO_LARGE", f"the body is larger than {most} bytes", limit=str(most))


class _Inflater:
    """Decompresses with bounded output, so that a small body cannot become a large one in memory."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._stream = zlib.decompressobj(window)
        # RFC 1952 lets one gzip follow another; each costs time before it gives a byte.
        self._members_left = 0 if window == zlib.MAX_WBITS else _MOST_MEMBERS - 1

    def feed(self, packed: bytes, most: int) -> list[bytes]:
        parts: list[bytes] = []
        while packed:
            if self._stream.eof:
                self._next()
            # One byte more than allowed is enough to see that it is too much.
            try:
                out = self._stream.decompress(packed, most + 1)
            except zlib.error as error:
                raise refused("BODY_MALFORMED", "the body is not compressed as its Content-Encoding says") from error
            parts.append(out)
            most -= len(out)
            if most < 0:
                break
            packed = self._stream.unused_data
        return parts

    def finish(self) -> None:
        if not self._stream.eof:
            raise refused("BODY_MALFORMED", "the compressed body is cut off")

    def _next(self) -> None:
        if not self._members_left:
            raise refused("BODY_MALFORMED", "something follows the compressed body")
        self._members_left -= 1
        self._stream = zlib.decompressobj(self._window)


def _inflater(encoding: bytes) -> _Inflater | None:
    if encoding in _IDENTITY:
        return None
    window = _WINDOW.get(encoding)
    if window is None:
        name = encoding.decode("latin-1")
        raise refused("ENCODING_UNSUPPORTED", f"the content encoding {name!r} is not supported", value=name)
    return _Inflater(window)
