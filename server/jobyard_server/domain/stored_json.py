"""JSON too large for a row: where it is kept, said in place of the JSON itself.

A reference is a text that is no JSON, so that nothing a client sends can be taken for one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGE: Final = 1024 * 1024
"""Bytes above which a payload or a result is kept apart."""
LARGEST: Final = 64 * 1024 * 1024
"""Most bytes of a payload or a result."""
RESULT_LABEL: Final = "jobyard.result-bytes"
"""Label of a job whose results may be larger than most: how large, in bytes."""
_MARK: Final = "@"


@dataclass(frozen=True, slots=True)
class Stored:
    """JSON that is kept apart."""

    blob: str
    """Name under which it is kept."""
    size: int
    """In bytes."""

    def reference(self) -> str:
        """What stands in its place."""
        return f"{_MARK}{self.size}:{self.blob}"


def stored(text: str) -> Stored | None:
    """Where a text is kept; ``None`` when it is the JSON itself."""
    if not text.startswith(_MARK):
        return None
    size, _, blob = text[1:].partition(":")
    return Stored(blob, int(size))


def result_limit(labels: Mapping[str, str]) -> int:
    """How large the results of a job may be, by its labels."""
    said = labels.get(RESULT_LABEL, "")
    return max(LARGE, min(int(said), LARGEST)) if said.isascii() and said.isdigit() and len(said) < 12 else LARGE


def result_of(subjob: int, attempt: int) -> str:
    """Name under which the large result of an attempt is kept."""
    return f"result/{subjob}/{attempt}"
