"""Keeps web pages of strangers away from a server that trusts everybody on its own machine.

A browser on this machine runs the scripts of any site, and those reach loopback addresses. They give themselves away by
the name they asked for (a rebound DNS name), by the origin they come from, or by the browser's own word.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from jobyard_server.transcoding.pages import Application, Receive, Scope, Send

_NEAR: Final = frozenset({b"same-origin", b"same-site", b"none"})


Refuse = Callable[[Scope, Send, str], Awaitable[None]]
"""Tells a client why it may not ask, in the form that errors have where it asked."""


def for_own_machine(application: Application, refuse: Refuse) -> Application:
    """Refuse requests that a page from elsewhere has sent."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        problem = _problem(scope["headers"]) if scope["type"] == "http" else None
        if problem is None:
            await application(scope, receive, send)
        else:
            await refuse(scope, send, problem)

    return serve


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether a host, as a URL spells it without its port, is this machine and nothing but."""
    name = host.lower().rstrip(".").removeprefix("[").removesuffix("]")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _problem(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    for name, value in headers:
        if name == b"host" and not is_loopback(_host(value.decode("latin-1"))):
            return "This server has no authentication, so it answers only under the names of its own machine."
        if name == b"origin" and not is_loopback(urlsplit(value.decode("latin-1")).hostname or ""):
            return "This server has no authentication, so it answers no pages of other sites."
        if name == b"sec-fetch-site" and value not in _NEAR:
            return "This server has no authentication, so it answers no pages of other sites."
    return None


def _host(value: str) -> str:
    """The host without its port: ``[::1]:8080`` is ``[::1]``."""
    return value.partition("]")[0] if value.startswith("[") else value.partition(":")[0]
