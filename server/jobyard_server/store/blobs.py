"""Bytes too large for a row: kept in pieces, whole or not at all."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from typing_extensions import Buffer

from jobyard_server.store.rows import kept

if TYPE_CHECKING:
    from jobyard_server.store.sets import Sets
    from jobyard_server.store.unit import Unit

PIECE: Final = 256 * 1024

_NEW: Final = (
    "INSERT INTO blobs (id, job, size, sha256, complete, created_at) VALUES (?, ?, ?, ?, ?, ?)"
)  # fmt: skip
_PIECE: Final = "INSERT INTO blob_chunks (blob, number, data) VALUES (?, ?, ?)"
_DROP: Final = ("DELETE FROM blob_chunks WHERE blob = ?", "DELETE FROM blobs WHERE id = ?")
_PIECES: Final = "SELECT data FROM blob_chunks WHERE blob = ? ORDER BY number"
_KNOWN: Final = "SELECT size FROM blobs WHERE id = ? AND complete"
_SIZE: Final = "SELECT coalesce(sum(size), 0) FROM blobs WHERE id >= ? AND id < ?"


def put_blob(unit: Unit, id_: str, data: Buffer, job: int | None = None) -> None:
    """Keep bytes under a name; what was there before is replaced. Those of a job go with it."""
    drop_blob(unit, id_)
    whole = memoryview(data)
    unit.sets.run(_NEW, (kept(id_), job, len(whole), hashlib.sha256(whole).hexdigest(), True, unit.now))
    for number, start in enumerate(range(0, len(whole), PIECE)):
        unit.sets.run(_PIECE, (kept(id_), number, whole[start : start + PIECE]))


def drop_blob(unit: Unit, id_: str) -> bool:
    """Remove what is kept under a name; whether it was there."""
    pieces, itself = _DROP
    unit.sets.run(pieces, (kept(id_),))
    return unit.sets.run(itself, (kept(id_),)) > 0


def blob_bytes(sets: Sets, prefix: str) -> int:
    """How many bytes are kept under names that begin so."""
    first = kept(prefix)
    ((size,),) = sets.all(_SIZE, (first, first[:-1] + chr(ord(first[-1]) + 1)))
    return int(size)


def read_blob(sets: Sets, id_: str) -> bytes | None:
    """What is kept under a name."""
    if not sets.all(_KNOWN, (kept(id_),)):
        return None
    return b"".join(bytes(data) for (data,) in sets.all(_PIECES, (kept(id_),)))
