"""JSON text taken apart without changing a byte of its parts."""

from __future__ import annotations

import json
import re
from typing import Final

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_DECODER: Final = json.JSONDecoder()


def member(text: str, name: str) -> str | None:
    """The value of a member of a JSON object, as it is written there; ``None`` when there is no such member.

    The text has been accepted as JSON before. Of members with one name the last one counts, as everywhere.
    """
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        return None
    at = _skip(text, at + 1)
    found: str | None = None
    while text[at : at + 1] == '"':
        key, at = _DECODER.raw_decode(text, at)
        start = _skip(text, _skip(text, at) + 1)
        _, at = _DECODER.raw_decode(text, start)
        if key == name:
            found = text[start:at]
        at = _skip(text, at)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
    return found


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
