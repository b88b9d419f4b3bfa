"""Percent-encoding as RFC 3986 has it: decoded exactly once, refused when broken."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes

UNRESERVED: Final = "-._~"
RESERVED: Final = frozenset(b":/?#[]@!$&'()*+,;=")

_BROKEN = re.compile(r"%(?![0-9A-Fa-f]{2})")
_TRIPLET = re.compile(r"%([0-9A-Fa-f]{2})")
_SLASH = re.compile(r"(%2[Ff])")


class MalformedEncodingError(ValueError):
    """Text whose percent-encoding is broken, or whose bytes are no UTF-8."""


def decode(text: str) -> str:
    """Decode every triplet."""
    if "%" not in text:
        return text
    if _BROKEN.search(text):
        raise MalformedEncodingError("a percent sign is not followed by two hexadecimal digits")
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError as error:
        raise MalformedEncodingError("the percent-encoded bytes are no UTF-8") from error


def decode_keeping_slashes(text: str) -> str:
    """Decode every triplet but `%2F`, as http.proto wants it for variables of several segments."""
    if "%" not in text:
        return text
    return "".join(part if _SLASH.fullmatch(part) else decode(part) for part in _SLASH.split(text))


def decode_keeping_reserved(text: str) -> str:
    """Decode every triplet but those of reserved characters, as Envoy does by default."""
    if "%" not in text:
        return text
    kept = _TRIPLET.sub(lambda m: f"%25{m[1]}" if int(m[1], 16) in RESERVED else m[0], text)
    return decode(kept)


def encode(text: str) -> str:
    """Encode everything but unreserved characters."""
    return quote(text, safe=UNRESERVED)
