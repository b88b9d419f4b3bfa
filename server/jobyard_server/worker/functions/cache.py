"""Packages on disk, by their sums. Functions run as the same user and may write there, so nothing is trusted unread."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from pathlib import Path
from typing import Final

MOST_FILES: Final = 64
_SUM: Final = re.compile(r"[0-9a-f]{64}\Z")


def usual_folder() -> Path:
    """Where packages are kept unless somebody says otherwise."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jobyard" / "packages"


def find(folder: Path, sha256: str) -> bytes | None:
    """The package with a sum; ``None`` unless it is there and has it."""
    if not _SUM.match(sha256):
        return None
    try:
        content = (folder / sha256).read_bytes()
    except OSError:
        return None
    return content if hashlib.sha256(content).hexdigest() == sha256 else None


def keep(folder: Path, content: bytes) -> None:
    """Keep a package, and drop those not used for longest; a folder that cannot be written keeps nothing."""
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(dir=folder)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(scratch).replace(folder / hashlib.sha256(content).hexdigest())
        known = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)
        for path in known[:-MOST_FILES]:
            path.unlink()
