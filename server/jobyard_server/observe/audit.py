"""Keeps a file with one line for each call that may have changed something: who, what, how it ended."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Final

import structlog

LOOK_SECONDS: Final = 1.0
"""How often it is looked whether the file was moved away, at most."""

_log = structlog.get_logger("jobyard.audit")


class AuditFile:
    """A file that lines are appended to. Several processes may share it: each line is written in one piece."""

    def __init__(self, file: Path, clock: Callable[[], float] = monotonic) -> None:
        """Open the file; raises OSError for one that cannot be written to."""
        self._file = file
        self._clock = clock
        self._descriptor = self._open()
        self._looked = clock()
        self._failing = False

    def append(self, line: bytes) -> None:
        """Add a line. A disk that is full keeps nobody from working, but is told in the log."""
        try:
            self._follow()
            written = os.write(self._descriptor, line)
        except OSError as problem:
            self._tell(problem.strerror)
        else:
            self._tell(None if written == len(line) else "a line could not be written whole")

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def _tell(self, problem: str | None) -> None:
        """Log when it begins to fail, not each time."""
        if problem is not None and not self._failing:
            _log.error("audit file not written", file=str(self._file), problem=problem)
        self._failing = problem is not None

    def _follow(self) -> None:
        """Open the file anew after it was moved away, as tools that rotate logs do."""
        if self._clock() - self._looked < LOOK_SECONDS:
            return
        self._looked = self._clock()
        ours = os.fstat(self._descriptor)
        try:
            there = self._file.stat()
        except FileNotFoundError:
            there = None
        if there is None or (there.st_ino, there.st_dev) != (ours.st_ino, ours.st_dev):
            fresh = self._open()
            os.close(self._descriptor)
            self._descriptor = fresh

    def _open(self) -> int:
        return os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
