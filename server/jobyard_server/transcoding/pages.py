"""Pages beside the declared routes, such as health and documents: made on demand, GET and HEAD only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from hashlib import sha256
from inspect import isawaitable
from typing import Any, Final

from jobyard_server.transcoding.conditional import not_modified
from jobyard_server.transcoding.headers import Headers, joined
from jobyard_server.transcoding.reply import Header, Reply, content_type, header
from jobyard_server.transcoding.sending import gzip, takes_gzip

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

Pages = Mapping[str, Callable[[], "Page | Awaitable[Page]"]]
"""Pages by path."""

TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"
HTML: Final = "text/html; charset=utf-8"
CSS: Final = "text/css; charset=utf-8"
JAVASCRIPT: Final = "text/javascript; charset=utf-8"

_VERBS: Final = frozenset({"GET", "HEAD"})
_PACKED_FROM: Final = 1400
_PACK_LEVEL: Final = 5
_SAFE: Final[tuple[Header, ...]] = (
    header("X-Content-Type-Options", "nosniff"),
    header("X-Frame-Options", "DENY"),
    header("Referrer-Policy", "no-referrer"),
    header("Cross-Origin-Opener-Policy", "same-origin"),
)
_NOTHING: Final = "default-src 'none'; frame-ancestors 'none'"
"""The policy of what is no page for people: nothing of it runs or is shown inside of others."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page as it is now."""

    body: bytes
    media_type: str = TEXT
    available: bool = True
    """False: the page says why something cannot be had, and is answered as 503."""
    policy: str = ""
    """Content-Security-Policy, for pages that browsers show; empty: the strictest one."""
    lasting: bool = False
    """The page is the same for as long as the server runs: clients keep it and ask whether it is still current."""


async def no_pages(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer that there is nothing here: what stands behind pages where nothing else is served."""
    await _send(Reply(404, [content_type(TEXT)], b"not found\n"), send)


def with_pages(application: Application, pages: Pages) -> Application:
    """Answer the paths of the pages, and leave everything else to the application."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        page = pages.get(scope["path"]) if scope["type"] == "http" else None
        if page is None:
            await application(scope, receive, send)
        elif scope["method"] in _VERBS:
            made = page()
            shown = await made if isawaitable(made) else made
            await _send(await _reply(shown, joined(scope["headers"])), send, bodiless=scope["method"] == "HEAD")
        else:
            await _send(Reply(405, [header("Allow", "GET, HEAD"), *_SAFE]), send)

    return serve


async def _reply(page: Page, asked: Headers) -> Reply:
    policy = header("Content-Security-Policy", page.policy or _NOTHING)
    reply = Reply(200 if page.available else 503, [*_SAFE, policy])
    if page.lasting:
        # Weak: the compressed page has the same tag.
        tag = f'W/"{sha256(page.body).hexdigest()[:32]}"'
        reply.headers += (header("ETag", tag), header("Cache-Control", "no-cache"))
        if not_modified(asked, tag, ""):
            reply.status = 304
            return reply
    else:
        reply.headers.append(header("Cache-Control", "no-store"))
    reply.headers.append(content_type(page.media_type))
    reply.body = page.body
    if len(page.body) >= _PACKED_FROM:
        reply.headers.append(header("Vary", "Accept-Encoding"))
        if takes_gzip(asked):
            # A thread: what takes longer to pack than most calls take in all must not hold them up.
            reply.body = await asyncio.to_thread(gzip, page.body, _PACK_LEVEL)
            reply.headers.append(header("Content-Encoding", "gzip"))
    return reply


async def _send(reply: Reply, send: Send, *, bodiless: bool = False) -> None:
    length = [] if reply.status == 304 else [header("Content-Length", str(len(reply.body)))]
    await send({"type": "http.response.start", "status": reply.status, "headers": [*reply.headers, *length]})
    await send({"type": "http.response.body", "body": b"" if bodiless else reply.body})
