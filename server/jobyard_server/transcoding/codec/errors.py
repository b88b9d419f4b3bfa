"""The one error of the codec: which member is wrong, and why, in words for the client."""

from __future__ import annotations

import json
from collections.abc import Callable

from typing_extensions import override

# Bounds what a client's own member names can add to an error.
LONGEST_SEGMENT = 64
LONGEST_PATH = 512

KINDS = {
    type(None): "null",
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "an object",
}


Show = Callable[[object], str]
"""Writes a value that is no text."""


def json_literal(value: object) -> str:
    """Write a value as JSON does."""
    return _cut(json.dumps(value, ensure_ascii=False, default=str))


def python_literal(value: object) -> str:
    """Write a value as Python does."""
    return _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_PATH else text[:LONGEST_PATH] + "…"


class CodecError(ValueError):
    """JSON that does not fit its message, or a message that JSON cannot show.

    `path` names the member as the client spells it, `a.b[2].c`, empty for the whole document.
    `description` completes the sentence that starts with it: "must be a whole number, not text".
    """

    reason = "FIELD_INVALID"
    """Name of the LayerReason, so that a face can word each kind of mistake its own way."""

    def __init__(self, description: str, *segments: str) -> None:
        super().__init__(description)
        self.description = description
        self.value = ""
        """The value refused, as text."""
        self._inner_first = [shorten(segment) for segment in reversed(segments)]

    @property
    def path(self) -> str:
        """The way from the document to the member."""
        path = "".join(reversed(self._inner_first)).removeprefix(".")
        return path if len(path) <= LONGEST_PATH else path[:LONGEST_PATH] + "…"

    def about(self, value: object, show: Show) -> None:
        """Say which value it was; the innermost one counts."""
        if not self._inner_first and value.__class__ in KINDS:
            self.value = value if isinstance(value, str) else show(value)

    def within(self, member: str) -> None:
        """Say that all this happened inside a member of an object."""
        self._inner_first.append("." + (shorten(member) or '""'))

    def at(self, index: int) -> None:
        """Say that all this happened in one item of a list."""
        self._inner_first.append(f"[{index}]")

    def under(self, key: str) -> None:
        """Say that all this happened in one entry of a map, whose key is data and not a name."""
        self._inner_first.append(f'["{shorten(key)}"]')

    @override
    def __str__(self) -> str:
        return f"{self.path}: {self.description}" if self._inner_first else self.description


class UnknownMemberError(CodecError):
    """A member that the message does not declare."""

    reason = "FIELD_UNKNOWN"


class MissingMemberError(CodecError):
    """A member that the message requires is not there."""

    reason = "FIELD_MISSING"


class ReadOnlyMemberError(CodecError):
    """A member that only the server sets."""

    reason = "FIELD_READ_ONLY"


def shorten(text: str) -> str:
    """Cut what a client sent to a length that fits an error, and make it printable."""
    cut = text if len(text) <= LONGEST_SEGMENT else text[:LONGEST_SEGMENT] + "…"
    return cut if cut.isprintable() else ascii(cut)[1:-1]


def too_deep(limit: int) -> CodecError:
    """Build the error of a document nested beyond the limit."""
    return CodecError(f"is nested more than {limit} levels deep")


def free_json_too_deep(limit: int) -> CodecError:
    """Build the same error of free JSON, whose levels are fewer than the messages that they become."""
    return CodecError(f"is nested too deep: of {limit} levels, an object takes three and a list two")


def kind_of(value: object) -> str:
    """Name the kind of a JSON value as JSON does, never as Python does."""
    return KINDS.get(value.__class__, "raw JSON")
