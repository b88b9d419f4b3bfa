"""URIs that clients say, of jobs to anywhere and of producers to be called, and names as parts of URIs."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from jobyard_server.domain.address import destination_of
from jobyard_server.domain.reason import invalid

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_REST: Final = re.compile(
    r"(?!//\Z)"
    r"(?:[A-Za-z0-9_.!~*'();/?:@&=+$,\[\]-]|%[0-9A-Fa-f]{2}|[^\x00-\xa0\s])+"
    r"(?:#(?:[A-Za-z0-9_.!~*'();/?:@&=+$,\[\]-]|%[0-9A-Fa-f]{2}|[^\x00-\xa0\s])*)?"
)
"""What may stand behind the scheme, by RFC 2396 and with letters of any script: what java.net.URI takes."""


def check_uri(field: str, value: str) -> None:
    """Refuse a URI of a job that is none; empty is no URI, and fine."""
    if not value:
        return
    scheme = _SCHEME.match(value)
    if scheme is None:
        raise invalid(field, f"URI: {value} is not absolute")
    if not _REST.fullmatch(value, scheme.end()):
        raise invalid(field, f"URI: {value} is broken")


def checked_url(field: str, value: str) -> str:
    """A URL of a producer; refused unless it can be called."""
    if not value:
        raise invalid(field, "Missing required URL")
    if not _SCHEME.match(value):
        raise invalid(field, f"URI: {value} is not absolute")
    try:
        destination_of(value)
    except ValueError as problem:
        raise invalid(field, f"URI: {value} {problem}") from None
    return value


def segment(name: str) -> str:
    """A name as one segment of a path."""
    return quote(name, safe="~:@!$&()*+,;=")
