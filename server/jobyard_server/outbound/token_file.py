"""The token that this server shows to its peers, kept in a file that somebody else renews."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from pathlib import Path

_log = structlog.get_logger("jobyard.outbound")


class TokenFile:
    """Reads the token again when its file changes; keeps the last one when the file is gone or cannot be read."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._token = ""
        self._seen: tuple[int, int, int] | None = None
        self._missing = False

    def token(self) -> str:
        """The token; empty when there is none."""
        if self._path is None:
            return ""
        try:
            facts = self._path.stat()
            seen = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
            if seen != self._seen:
                self._token, self._seen = _read(self._path), seen
        except (OSError, ValueError) as problem:
            if not self._missing:
                _log.warning("token of peers not read", file=str(self._path), problem=str(problem))
            self._missing = True
        else:
            self._missing = False
        return self._token


def _read(path: Path) -> str:
    text = path.read_text(encoding="ascii").strip()
    if not text.isprintable() or " " in text:
        raise ValueError("holds no token in one line")
    return text
