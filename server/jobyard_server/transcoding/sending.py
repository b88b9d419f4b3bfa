"""Sends replies: lengths, compression, request ids, and what browsers of other origins need."""

from __future__ import annotations

import re
import zlib
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final

from jobyard_server.transcoding.backend import Metadata, ResponseMetadata
from jobyard_server.transcoding.headers import Headers
from jobyard_server.transcoding.media import bare
from jobyard_server.transcoding.reply import Header, Reply, header
from jobyard_server.transcoding.requests import Request
from jobyard_server.transcoding.settings import Cors, Settings

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_NOSNIFF: Final = (b"x-content-type-options", b"nosniff")
_VARY_ENCODING: Final = (b"vary", b"Accept-Encoding")
_PACKED: Final = ("image/", "video/", "audio/", "application/zip", "application/gzip")
_EXPOSED: Final = (b"access-control-expose-headers", b"ETag, Location, Retry-After, WWW-Authenticate, X-Request-Id")
_TOKENS: Final = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+(\s*,\s*[A-Za-z0-9!#$%&'*+.^_`|~-]+)*")


class Sender:
    """Sends the replies of one server."""

    def __init__(self, settings: Settings) -> None:
        self._compress_from = settings.compress_from
        self._compress_level = settings.compress_level
        self._cors = settings.cors
        self._metadata = {name.lower() for name in settings.response_metadata}

    def common(self, request: Request) -> list[Header]:
        """Give the headers that every answer carries."""
        lines = [(b"x-request-id", request.request_id.encode()), _NOSNIFF]
        if self._cors.origins:
            lines += self._cors_headers(request)
        return lines

    def metadata(self, said: ResponseMetadata) -> list[Header]:
        """Give the headers for the metadata that the operator lets out."""
        if not self._metadata or not (said.initial or said.trailing):
            return []
        return [_metadata_header(*each) for each in _both(said) if each[0] in self._metadata]

    async def reply(self, reply: Reply, request: Request, send: Send) -> None:
        """Send a complete reply."""
        body = reply.body
        headers = reply.headers
        if len(body) >= self._compress_from and self._compressible(reply):
            headers.append(_VARY_ENCODING)
            if takes_gzip(request.headers):
                body = gzip(body, self._compress_level)
                headers.append((b"content-encoding", b"gzip"))
        headers += self.common(request)
        if reply.status not in {204, 304}:
            headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if request.verb == "HEAD" else body})

    def preflight(self, request: Request, allowed: Iterable[str]) -> Reply | None:
        """Answer a browser that asks whether it may send a request; None when it does not ask."""
        wanted = request.headers.get(b"access-control-request-method", b"")
        if not _TOKENS.fullmatch(wanted) or not self._origin(request):
            return None
        reply = Reply(204, [(b"access-control-allow-methods", ", ".join(allowed).encode())])
        headers = request.headers.get(b"access-control-request-headers", b"")
        if _TOKENS.fullmatch(headers):
            reply.headers.append((b"access-control-allow-headers", headers))
        reply.headers.append((b"access-control-max-age", b"%d" % self._cors.max_age))
        return reply

    def _compressible(self, reply: Reply) -> bool:
        kind = next((value.decode("latin-1") for name, value in reply.headers if name == b"content-type"), "")
        return bool(kind) and not bare(kind).startswith(_PACKED)

    def _cors_headers(self, request: Request) -> list[Header]:
        origin = self._origin(request)
        if not origin:
            return [(b"vary", b"Origin")]
        return [(b"access-control-allow-origin", origin), (b"vary", b"Origin"), _EXPOSED]

    def _origin(self, request: Request) -> bytes:
        """Give the origin that may read the answer, or nothing."""
        origin = request.headers.get(b"origin", b"")
        cors: Cors = self._cors
        if not origin or not cors.origins:
            return b""
        if "*" in cors.origins:
            return b"*"
        return origin if origin.decode("latin-1") in cors.origins else b""


def takes_gzip(headers: Headers) -> bool:
    """Tell whether the client takes gzip."""
    for coding in headers.get(b"accept-encoding", b"").lower().split(b","):
        name, _, weight = (part.strip() for part in coding.partition(b";"))
        if name in {b"gzip", b"x-gzip"}:
            return weight.removeprefix(b"q").strip(b" \t=0.") != b"" or not weight
    return False


def gzip(body: bytes, level: int) -> bytes:
    """Compress a body."""
    packer = zlib.compressobj(level, wbits=16 + zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


def _both(said: ResponseMetadata) -> Metadata:
    return (*said.initial, *said.trailing)


def _metadata_header(key: str, value: str | bytes) -> Header:
    if isinstance(value, bytes):
        return header(key, b64encode(value).decode())
    return header(key, value)
