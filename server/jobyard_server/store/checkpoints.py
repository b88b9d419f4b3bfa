"""Checkpoints of SQLite's log of writes: made between batches, so that no answer waits for one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from jobyard_server.store.sets import Sets

DUE_BYTES: Final = 16 * 1024 * 1024
KEPT_BYTES: Final = DUE_BYTES - 1024 * 1024
"""What the log is cut to when it begins anew: less than what makes a checkpoint due, so that its size tells, but not
much less, as writing over what is there costs half as much as making a file longer."""
STEP_BYTES: Final = 4 * 1024 * 1024
"""By how much the log grows before a checkpoint that a reader cut short is tried again."""


class Checkpoints:
    """Moves the log into the database when it has grown."""

    def __init__(self, database: Path) -> None:
        self._log = f"{database}-wal"
        self._size = 0
        self._tried_at = 0

    def look(self) -> None:
        """See how far the log has grown."""
        try:
            self._size = os.stat(self._log).st_size  # noqa: PTH116 - after every commit; a Path takes twice as long
        except OSError:
            self._size = 0

    def make(self, sets: Sets) -> None:
        """Make a checkpoint if one is due."""
        if self._size < DUE_BYTES:
            self._tried_at = 0
        elif self._size >= self._tried_at + STEP_BYTES:
            self._tried_at = self._size
            # Passive: it waits for no reader, and takes what no reader needs any more.
            sets.all("PRAGMA wal_checkpoint(PASSIVE)")
