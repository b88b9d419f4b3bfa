"""How people see states: one glyph and one colour each, the same in the terminal, in the console and in the pages.

A mark never stands without its word, and a colour never without its glyph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from jobyard_server.domain.state import State


@dataclass(frozen=True, slots=True)
class Mark:
    """What stands for a state."""

    glyph: str
    colour: str
    """One of `COLOURS`."""


COLOURS: Final = ("grey", "blue", "green", "red", "amber", "orange", "violet")

MARKS: Final[Mapping[State, Mark]] = {
    State.PENDING: Mark("○", "grey"),
    State.RUNNING: Mark("▷", "blue"),
    State.SUSPENDED: Mark("‖", "violet"),
    State.CANCELLING: Mark("⊘", "amber"),
    State.SUCCEEDED: Mark("✓", "green"),
    State.FAILED: Mark("✗", "red"),
    State.PARTIALLY_FAILED: Mark("◐", "orange"),
    State.CANCELLED: Mark("⊘", "amber"),
}

RETRYING: Final = Mark("↻", "orange")
"""Pending, after an attempt that failed."""
SCHEDULED: Final = Mark("◷", "violet")
"""Running, as a schedule does: waiting for its next time."""
