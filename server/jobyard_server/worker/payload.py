"""What a program is given: the payload in a file, and on its standard input the payload or one text out of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from jobyard.jobs.v1 import worker_lease_pb2

STDIN_LABEL: Final = "jobyard.stdin"
"""The label of a job that names the member of its payload which programs read: code, without JSON around it."""


def place(folder: Path) -> Path:
    """The file of the payload."""
    return folder / "payload.json"


def write(lease: worker_lease_pb2.Lease, folder: Path) -> Path:
    """Write the payload, unless it is large and there already; the file that the program reads."""
    payload = place(folder)
    if not lease.subjob.payload_bytes:
        payload.write_text(lease.subjob.payload, encoding="utf-8")
    name = lease.job.labels.get(STDIN_LABEL, "")
    text = _member(payload.read_text(encoding="utf-8"), name) if name else None
    if text is None:
        return payload
    stdin = folder / "stdin.txt"
    stdin.write_bytes(text.encode("utf-8", "surrogatepass"))
    return stdin


def _member(payload: str, name: str) -> str | None:
    """The text of a member; ``None`` when there is none."""
    found = json.loads(payload)
    text = found.get(name) if isinstance(found, dict) else None
    return text if isinstance(text, str) else None
