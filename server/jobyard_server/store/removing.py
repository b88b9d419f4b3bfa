"""A job removed, with everything that is only there because of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from jobyard_server.store.unit import Unit

_OWNED: Final = (
    "DELETE FROM log_chunks WHERE subjob IN (SELECT id FROM subjobs WHERE job = ?)",
    "DELETE FROM attempts WHERE subjob IN (SELECT id FROM subjobs WHERE job = ?)",
    "DELETE FROM subjobs WHERE job = ?",
    "DELETE FROM request_keys WHERE job = ?",
    "DELETE FROM fires WHERE job = ?",
    "DELETE FROM standings WHERE number = ?",
    "DELETE FROM schedules WHERE job = ?",
    "DELETE FROM blob_chunks WHERE blob IN (SELECT id FROM blobs WHERE job = ?)",
    "DELETE FROM blobs WHERE job = ?",
)
_ITSELF: Final = "DELETE FROM jobs WHERE number = ?"


def remove_job(unit: Unit, number: int) -> None:
    """Remove a job. Its events stay, and so does what is owed about it to somebody outside."""
    remove_owned(unit, number)
    unit.sets.run(_ITSELF, (number,))


def remove_owned(unit: Unit, number: int) -> None:
    """Remove all that a job owns, but not the job."""
    for statement in _OWNED:
        unit.sets.run(statement, (number,))
