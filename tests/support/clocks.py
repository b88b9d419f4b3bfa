"""A clock that shows what a test says, for programs that are run with libfaketime."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path


class SetClock:
    """The wall clock of some programs. It stands still; how fast time passes for them they see as everybody does."""

    def __init__(self, folder: Path, library: str) -> None:
        self._file = folder / "clock"
        self.settings = {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "TZ": "UTC",
        }
        """What goes into the environment of the programs."""

    def show(self, time: datetime) -> None:
        """Let it show a time from now on."""
        scratch = self._file.with_suffix(".new")
        scratch.write_text(time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") + "\n")
        scratch.replace(self._file)
