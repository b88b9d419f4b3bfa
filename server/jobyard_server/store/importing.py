"""Jobs that ran elsewhere, written with their numbers, times and states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jobyard_server.domain.event import EventType
from jobyard_server.domain.reason import Reason, invalid, refuse
from jobyard_server.domain.state import Control, Counters, Mode, State, fold
from jobyard_server.store import rows
from jobyard_server.store.removing import remove_owned
from jobyard_server.store.rows import MICROS, kept
from jobyard_server.store.standings import SOURCES, place
from jobyard_server.store.words import word

if TYPE_CHECKING:
    from jobyard_server.domain.job import IdempotencyKey, Job
    from jobyard_server.store.unit import Unit
    from jobyard_server.usecases.ports import ImportedJob

MAX_NUMBER: Final = 2**53
"""Beyond it a number would not survive JSON readers, and new ones would soon run out."""

_FOUND: Final = "SELECT api, tenant, uid, last_event, revision FROM jobs WHERE number = ?"
_DROP: Final = "DELETE FROM jobs WHERE number = ?"
_TOLD: Final = "SELECT COALESCE(MAX(job_seq), 0) FROM events WHERE job = ?"
_EXTERNAL: Final = "SELECT number FROM jobs WHERE api = ? AND tenant = ? AND external_id = ? AND number <> ?"
_KEY: Final = "SELECT job FROM request_keys WHERE api = ? AND tenant = ? AND key = ?"
_KEY_COLUMNS: Final = ("api", "tenant", "key", "fingerprint", "job", "expires_at")


def import_job(unit: Unit, imported: ImportedJob) -> Job:
    """Write a job as it is; one of the same number, API and tenant is replaced."""
    number = _number(unit, imported)
    before = _replaced(unit, imported)
    row = _row(unit, imported, number, before)
    _check_identities(unit, imported, number)
    unit.sets.insert("jobs", rows.NEW_JOB_COLUMNS, [tuple(row.values())])
    place(unit, [[row[name] for name in SOURCES]])
    _insert_subjobs(unit, imported, tuple(row.values()))
    if imported.new.key is not None:
        _insert_key(unit, imported.new.key, row)
    _tell(unit, imported, row, EventType.JOB_UPDATED if before else EventType.JOB_SUBMITTED)
    return rows.job(tuple(row.values()))


def _number(unit: Unit, imported: ImportedJob) -> int:
    if imported.number is None:
        (number,) = unit.numbers(jobs=1)
        return number
    if not 0 < imported.number <= MAX_NUMBER:
        raise invalid("number", f"is from 1 to {MAX_NUMBER}")
    unit.took("jobs", imported.number)
    return imported.number


def _replaced(unit: Unit, imported: ImportedJob) -> tuple[str, int, int] | None:
    """(uid, last event, revision) of the job that gives way."""
    if imported.number is None:
        return None
    for api, tenant, uid, last_event, revision in unit.sets.all(_FOUND, (imported.number,)):
        if (api, tenant) != (imported.new.api, kept(imported.new.tenant)):
            raise refuse(
                Reason.ALREADY_EXISTS,
                f"Number {imported.number} belongs to a job of another API or tenant.",
                job=str(imported.number),
            )
        remove_owned(unit, imported.number)
        unit.sets.run(_DROP, (imported.number,))
        return uid, last_event, revision
    return None


def _row(unit: Unit, imported: ImportedJob, number: int, before: tuple[str, int, int] | None) -> dict[str, Any]:
    """The row of the job, by column."""
    new, state = imported.new, imported.state
    created = unit.now if imported.created_at is None else imported.created_at
    updated = unit.now if imported.updated_at is None else imported.updated_at
    uid, last_event, revision = before or (unit.new_uid(), _told(unit, number), 0)
    fresh = rows.new_job(
        new, number, uid, created, state=state, word=word(unit.words, new.api, state), last_event=last_event + 1
    )
    row: dict[str, Any] = dict(zip(rows.NEW_JOB_COLUMNS, fresh, strict=True))
    pieces = len(new.subjobs)
    control = Control(
        cancel_requested=state is State.CANCELLING,
        suspended=state is State.SUSPENDED,
        split_complete=new.split_complete,
        exhausted=state is State.SUCCEEDED,
        running_now=pieces if state is State.RUNNING else 0,
        # A state that a mode does not reach by its subjobs was given by the other system.
        finished_as=state if state.terminal and (new.mode is not Mode.ONCE or not pieces) else None,
    )
    if fold(new.mode, control, Counters(**{state.lower(): pieces})) is not state:
        raise invalid("state", f"cannot be {state} for a job of mode {new.mode} with {pieces} subjobs")
    row |= {
        "cancel_requested": control.cancel_requested,
        "suspended": control.suspended,
        "exhausted": control.exhausted,
        "running_now": control.running_now,
        "finished_as": None if control.finished_as is None else control.finished_as.value,
        "n_pending": 0,
        f"n_{state.lower()}": pieces,
        "message": kept(imported.message),
        "revision": revision + 1,
        "updated_at": updated,
        "finished_at": updated if state.terminal else None,
    }
    if state.terminal:
        row["expires_at"] = unit.keep.until(new.api, updated, row["expires_after"])
    return row


def _told(unit: Unit, number: int) -> int:
    """The last event of a job that had this number and was deleted: its events are still there."""
    unit.write_events()
    [(last_event,)] = unit.sets.all(_TOLD, (number,))
    return int(last_event)


def _check_identities(unit: Unit, imported: ImportedJob, number: int) -> None:
    new = imported.new
    scope = (new.api, kept(new.tenant))
    if new.external_id is not None:
        for (taken,) in unit.sets.all(_EXTERNAL, (*scope, kept(new.external_id), number)):
            raise refuse(
                Reason.ALREADY_EXISTS, f"A job {new.external_id!r} exists already.", id=new.external_id, job=str(taken)
            )
    if new.key is not None:
        for (taken,) in unit.sets.all(_KEY, (*scope, kept(new.key.key))):
            raise refuse(Reason.IDEMPOTENCY_KEY_REUSED, "The idempotency key belongs to another job.", job=str(taken))


def _insert_subjobs(unit: Unit, imported: ImportedJob, job_row: tuple[Any, ...]) -> None:
    pieces = imported.new.subjobs
    if not pieces:
        return
    (first,) = unit.numbers(subjobs=len(pieces))
    made = []
    for ordinal, piece in enumerate(pieces):
        row = rows.new_subjob(piece, first + ordinal, ordinal, unit.now, job_row, imported.state)
        subjob = dict(zip(rows.NEW_SUBJOB_COLUMNS, row, strict=True))
        if imported.state.terminal:
            subjob["finished_at"] = unit.now
        made.append(tuple(subjob.values()))
    unit.sets.insert("subjobs", rows.NEW_SUBJOB_COLUMNS, made)
    if imported.state is State.PENDING:
        unit.woken.update(row[_QUEUE] for row in made)


_QUEUE: Final = rows.NEW_SUBJOB_COLUMNS.index("queue")


def _insert_key(unit: Unit, key: IdempotencyKey, row: dict[str, Any]) -> None:
    expires = None if key.lifetime is None else unit.now + round(key.lifetime * MICROS)
    values = (row["api"], row["tenant"], kept(key.key), key.fingerprint, row["number"], expires)
    unit.sets.insert("request_keys", _KEY_COLUMNS, [values])


def _tell(unit: Unit, imported: ImportedJob, row: dict[str, Any], type_: EventType) -> None:
    event = (
        *(row["number"], row["uid"], row["last_event"], row["api"], row["tenant"], type_.value, row["state"]),
        *(None, None, None, "", row["message"], row["created_by"], kept(imported.new.request_id), unit.now),
    )
    unit.tell([event])
