"""One complete answer: status, headers and body, ready to be sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

Header = tuple[bytes, bytes]


@dataclass
class Reply:
    """What goes back to the client when it is not a stream."""

    status: int
    headers: list[Header] = field(default_factory=list)
    body: bytes = b""


def header(name: str, value: str) -> Header:
    """Encode a header line; line ends and other controls cannot get in."""
    return name.lower().encode("latin-1"), header_value(value)


def header_value(value: str) -> bytes:
    """Encode the value of a header line."""
    if not value.isprintable():
        value = "".join(char if char.isprintable() else " " for char in value)
    return value.encode()


SANDBOX: Final[Header] = (b"content-security-policy", b"sandbox; default-src 'none'; frame-ancestors 'none'")
"""Goes with bytes that users gave: a browser that opens them runs nothing of theirs under our name."""


def content_type(media_type: str) -> Header:
    """Encode a Content-Type."""
    return b"content-type", media_type.encode("latin-1")
