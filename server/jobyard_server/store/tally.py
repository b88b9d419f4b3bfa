"""What the writer has done so far, in numbers for whoever watches the server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
"""Bounds of the classes of batches: one of three commands is among those of at most four."""


@dataclass(slots=True)
class Tally:
    """Counters of one process. Everything is counted in the event loop, so nothing has to be locked."""

    waiting: int = 0
    """Commands that wait for the writer or are being carried out."""
    waiting_bytes: int = 0
    batches: int = 0
    commands: int = 0
    """Commands of all batches together."""
    failed: int = 0
    """Batches that the database refused as a whole."""
    sizes: list[int] = field(default_factory=lambda: [0] * len(SIZES))
    """Batches by class of size."""

    def took(self, commands: int, *, failed: bool) -> None:
        """Count a batch."""
        self.batches += 1
        self.commands += commands
        self.failed += failed
        for place, bound in enumerate(SIZES):
            if commands <= bound:
                self.sizes[place] += 1
                return
