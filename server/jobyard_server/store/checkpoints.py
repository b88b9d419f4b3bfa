"""Checkpoints of SQLite's log of writes: made between batches, so that no answer waits for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from jobyard_server.store.sets import Sets

DUE_BYTES: Final = 16 * 1024 * 1024
KEPT_BYTES: Final = 8 * 1024 * 1024
"""What the log is cut to when it begins anew; less than what makes a checkpoint due, so that its size tells."""
STEP_BYTES: Final = 4 * 1024 * 1024
"""By how much the log grows before a checkpoint that a reader cut short is tried again."""


class Checkpoints:
    """Moves the log into the database when it has grown."""

    def __init__(self, database: Path) -> None:
        self._log = database.with_name(database.name + "-wal")
        self._tried_at = 0

    def make(self, sets: Sets) -> bool:
        """Make a checkpoint if one is due; whether one was."""
        size = self._log.stat().st_size if self._log.exists() else 0
        if size < DUE_BYTES:
            self._tried_at = 0
            return False
        if size < self._tried_at + STEP_BYTES:
            return False
        self._tried_at = size
        # Passive: it waits for no reader, and takes what no reader needs any more.
        sets.all("PRAGMA wal_checkpoint(PASSIVE)")
        return True
