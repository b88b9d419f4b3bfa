"""Takes the body of a request in: bounded, within time, decompressed, and within what all bodies together may use."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from types import TracebackType
from typing import Any, Final, Self

from jobyard_server.transcoding.headers import Headers
from jobyard_server.transcoding.limits import Limits
from jobyard_server.transcoding.refusals import refused

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_IDENTITY: Final = frozenset((b"", b"identity"))
_WINDOW: Final = {b"gzip": 16 + zlib.MAX_WBITS, b"x-gzip": 16 + zlib.MAX_WBITS, b"deflate": zlib.MAX_WBITS}


class ClientGone(Exception):  # noqa: N818 - nobody is left to call it an error to
    """The client closed the connection before its request was complete."""


class Budget:
    """The bytes that all bodies in memory may use together."""

    def __init__(self, most: int) -> None:
        self._left = most

    def take(self, size: int) -> None:
        """Claim bytes; raises RequestRefused when there are not so many left."""
        if size > self._left:
            raise refused("OVERLOADED", "too many request bodies are in memory; send the request again later")
        self._left -= size

    def give(self, size: int) -> None:
        """Return bytes claimed before."""
        self._left += size


class Claim:
    """What one request has taken from the budget; given back when the request is over."""

    __slots__ = ("_budget", "_taken")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._taken = 0

    def take(self, size: int) -> None:
        """Claim more bytes."""
        self._budget.take(size)
        self._taken += size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._budget.give(self._taken)


def may_have_body(headers: Headers) -> bool:
    """Tell from the headers alone whether a body may follow."""
    length = headers.get(b"content-length")
    if length is not None:
        return length != b"0"
    return b"transfer-encoding" in headers


async def read(receive: Receive, headers: Headers, most: int, limits: Limits, claim: Claim) -> bytes:
    """Read a whole body of at most `most` bytes; raises RequestRefused and ClientGone."""
    parts = [part async for part in chunks(receive, headers, most, limits, claim)]
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def chunks(receive: Receive, headers: Headers, most: int, limits: Limits, claim: Claim) -> AsyncIterator[bytes]:
    """Give the body piece by piece, decompressed, never more than `most` bytes in all."""
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and len(declared) < 20 and int(declared) > most:
        raise too_large(most)
    inflate = _inflater(headers.get(b"content-encoding", b"").strip().lower())
    total = 0
    async for packed in _received(receive, limits):
        for part in inflate.feed(packed, most - total) if inflate else (packed,):
            total += len(part)
            if total > most:
                raise too_large(most)
            claim.take(len(part))
            yield part
    if inflate is not None:
        inflate.finish()


def too_large(most: int) -> Exception:
    """Build the refusal of a body that is too large."""
    return refused("BODY_TOO_LARGE", f"the body is larger than {most} bytes", limit=str(most))


async def _received(receive: Receive, limits: Limits) -> AsyncIterator[bytes]:
    more = True
    while more:
        try:
            event = await _within(receive, limits.body_seconds)
        except TimeoutError as error:
            raise refused("BODY_TIMEOUT", f"no part of the body came for {limits.body_seconds:g} seconds") from error
        if event["type"] == "http.disconnect":
            raise ClientGone
        part = event.get("body", b"")
        more = event.get("more_body", False)
        if part:
            yield part


async def _within(receive: Receive, seconds: float) -> MutableMapping[str, Any]:
    async with asyncio.timeout(seconds):
        return await receive()


class _Inflater:
    """Decompresses with bounded output, so that a small body cannot become a large one in memory."""

    def __init__(self, window: int) -> None:
        self._stream = zlib.decompressobj(window)

    def feed(self, packed: bytes, most: int) -> tuple[bytes, ...]:
        # One byte more than allowed is enough to see that it is too much.
        try:
            out = self._stream.decompress(packed, most + 1)
        except zlib.error as error:
            raise refused("BODY_MALFORMED", "the body is not compressed as its Content-Encoding says") from error
        if self._stream.unused_data:
            raise refused("BODY_MALFORMED", "something follows the compressed body")
        return (out,) if out else ()

    def finish(self) -> None:
        if not self._stream.eof:
            raise refused("BODY_MALFORMED", "the compressed body is cut off")


def _inflater(encoding: bytes) -> _Inflater | None:
    if encoding in _IDENTITY:
        return None
    window = _WINDOW.get(encoding)
    if window is None:
        name = encoding.decode("latin-1")
        raise refused("ENCODING_UNSUPPORTED", f"the content encoding {name!r} is not supported", value=name)
    return _Inflater(window)
