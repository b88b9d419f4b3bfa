"""Blobs that come in pieces: begun and appended to, and kept once they are whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobyard_server.store.blobs import drop_blob
from jobyard_server.store.rows import kept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobyard_server.domain.job import Micros
    from jobyard_server.store.sets import Sets
    from jobyard_server.store.unit import Unit

STEP: Final = 16

_BEGIN: Final = "INSERT INTO blobs (id, job, size, sha256, complete, created_at) VALUES (?, NULL, 0, '', ?, ?)"
_PIECE: Final = "INSERT INTO blob_chunks (blob, number, data) VALUES (?, ?, ?)"
_FINISH: Final = "UPDATE blobs SET size = ?, sha256 = ?, job = ?, complete = ? WHERE id = ? AND NOT complete"
_READ: Final = "SELECT data FROM blob_chunks WHERE blob = ? AND number = ?"
_SIZE: Final = "SELECT size FROM blobs WHERE id = ? AND complete"
_OLD: Final = "SELECT id FROM blobs WHERE NOT complete AND created_at < ? LIMIT ?"


def append_upload(unit: Unit, id_: str, first: int, pieces: Sequence[bytes]) -> None:
    """Keep pieces from the number ``first`` on; 0 begins anew."""
    name = kept(id_)
    if first == 0:
        drop_blob(unit, id_)
        unit.sets.run(_BEGIN, (name, False, unit.now))
    for number, piece in enumerate(pieces, first):
        unit.sets.run(_PIECE, (name, number, piece))


def finish_upload(unit: Unit, id_: str, size: int, digest: str, job: int | None) -> bool:
    """Say that a blob is whole and whose it is; whether it was there and not whole yet."""
    return unit.sets.run(_FINISH, (size, digest, job, True, kept(id_))) > 0


def forget_uploads(unit: Unit, age: Micros) -> int:
    """Drop a step of those that were begun so long ago and never finished; how many."""
    old = unit.sets.all(_OLD, (unit.now - age, STEP))
    for (name,) in old:
        unit.sets.run("DELETE FROM blob_chunks WHERE blob = ?", (name,))
        unit.sets.run("DELETE FROM blobs WHERE id = ?", (name,))
    return len(old)


def read_piece(sets: Sets, id_: str, number: int) -> bytes | None:
    """A piece of a blob by its number; ``None`` behind the last one."""
    found = sets.all(_READ, (kept(id_), number))
    return bytes(found[0][0]) if found else None


def blob_size(sets: Sets, id_: str) -> int | None:
    """Bytes of a whole blob; ``None`` when there is none of that name."""
    found = sets.all(_SIZE, (kept(id_),))
    return int(found[0][0]) if found else None
