"""The hot verb Submit: accept jobs, each once, with their subjobs, events and keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from jobyard_server.domain.job import KeyReuse
from jobyard_server.domain.reason import Reason, Refusal
from jobyard_server.store.fresh import event_rows, job_row
from jobyard_server.store.rows import (
    JOB_COLUMNS,
    MICROS,
    NEW_JOB_COLUMNS,
    NEW_SUBJOB_COLUMNS,
    kept,
    new_subjob,
)
from jobyard_server.store.rows import job as job_of
from jobyard_server.store.rows_schedules import NEW_SCHEDULE_COLUMNS, new_schedule
from jobyard_server.store.standings import SOURCES, place
from jobyard_server.usecases.ports import Submitted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobyard_server.domain.job import NewJob
    from jobyard_server.store.unit import Unit

Group: TypeAlias = "tuple[NewJob, ...]"
"""Jobs that are accepted together or not at all."""

_Identity: TypeAlias = tuple[str, str, str]
_KEY_COLUMNS: Final = ("api", "tenant", "key", "fingerprint", "job", "expires_at")
_SCOPE: Final = ("api", "tenant", "id")
_KEYS: Final = (
    f"SELECT {', '.join('k.' + name for name in _KEY_COLUMNS)} "
    "FROM given CROSS JOIN request_keys AS k "
    "WHERE k.api = given.api AND k.tenant = given.tenant AND k.key = given.id"
)
_FORGET: Final = "DELETE FROM request_keys WHERE (api, tenant, key) IN (SELECT * FROM given)"
_EXTERNAL: Final = (
    "SELECT j.api, j.tenant, j.external_id, j.number FROM given CROSS JOIN jobs AS j "
    "WHERE j.api = given.api AND j.tenant = given.tenant AND j.external_id = given.id"
)
_JOBS: Final = (
    f"SELECT {', '.join('jobs.' + name for name in JOB_COLUMNS)} "
    "FROM given CROSS JOIN jobs WHERE jobs.number = given.number"
)


@dataclass(slots=True)
class _Known:
    """The job that an identity stands for: stored already, or accepted earlier in this batch."""

    number: int = 0
    row: Sequence[Any] | None = None
    """Its row, of which :data:`JOB_COLUMNS` are a part."""
    fingerprint: str = ""


@dataclass(slots=True)
class _Accepted:
    """A job to be written."""

    new: NewJob
    known: _Known
    key: _Identity | None


@dataclass(slots=True)
class _Answer:
    """What one job of a group gets, once the jobs are known."""

    known: _Known
    replayed: bool
    differs: bool


@dataclass(slots=True)
class _Conflict:
    """Why a group is refused. The job in its way may get its number only when the batch is written."""

    reason: Reason
    message: str
    facts: dict[str, str]
    known: _Known

    def refusal(self) -> Refusal:
        job = {"job": str(self.known.number)} if self.known.number else {}
        return Refusal(self.reason, self.message, metadata={**self.facts, **job})


@dataclass(slots=True)
class _Batch:
    """What is known while a batch is decided."""

    keys: dict[_Identity, _Known] = field(default_factory=dict)
    externals: dict[_Identity, _Known] = field(default_factory=dict)
    accepted: list[_Accepted] = field(default_factory=list)


def submit(unit: Unit, groups: Sequence[Group]) -> list[list[Submitted] | Refusal]:
    """Accept groups of jobs. What is refused has written nothing."""
    answers = _accept(unit, groups)
    _read_replayed(unit, answers)
    return [
        answer.refusal() if isinstance(answer, _Conflict) else [_submitted(one) for one in answer] for answer in answers
    ]


def submit_numbers(unit: Unit, jobs: Sequence[NewJob]) -> list[int | Refusal]:
    """Accept jobs, each for itself, for somebody who needs no more than their numbers."""
    answers = _accept(unit, [(job,) for job in jobs])
    return [answer.refusal() if isinstance(answer, _Conflict) else answer[0].known.number for answer in answers]


def _accept(unit: Unit, groups: Sequence[Group]) -> list[list[_Answer] | _Conflict]:
    batch = _Batch()
    _look_up(unit, groups, batch)
    answers = [_decide_group(group, batch) for group in groups]
    _write(unit, batch.accepted)
    return answers


def _submitted(answer: _Answer) -> Submitted:
    assert answer.known.row is not None
    return Submitted(job_of(answer.known.row), answer.replayed, answer.differs)


def _look_up(unit: Unit, groups: Sequence[Group], batch: _Batch) -> None:
    """Find the keys and external ids that are taken already."""
    keys, externals = set(), set()
    for group in groups:
        for new in group:
            if new.key is not None:
                keys.add(_key_of(new))
            if new.external_id is not None:
                externals.add(_external_of(new))
    expired = []
    for *identity, fingerprint, job, expires_at in unit.sets.among(_SCOPE, sorted(keys), _KEYS):
        if expires_at is not None and expires_at <= unit.now:
            expired.append(identity)
        else:
            batch.keys[tuple(identity)] = _Known(job, fingerprint=fingerprint)
    unit.sets.among(_SCOPE, expired, _FORGET)
    for *identity, number in unit.sets.among(_SCOPE, sorted(externals), _EXTERNAL):
        batch.externals[tuple(identity)] = _Known(number)


def _key_of(new: NewJob) -> _Identity:
    assert new.key is not None
    return new.api, kept(new.tenant), kept(new.key.key)


def _external_of(new: NewJob) -> _Identity:
    assert new.external_id is not None
    return new.api, kept(new.tenant), kept(new.external_id)


def _decide_group(group: Group, batch: _Batch) -> list[_Answer] | _Conflict:
    """Decide the jobs of a group in order; the first one refused takes the whole group with it."""
    answers: list[_Answer] = []
    before = len(batch.accepted)
    for index, new in enumerate(group):
        answer = _decide(new, batch)
        if isinstance(answer, _Conflict):
            for undone in batch.accepted[before:]:
                _undo(undone, batch)
            del batch.accepted[before:]
            if len(group) > 1:
                answer.facts["index"] = str(index)
            return answer
        answers.append(answer)
    return answers


def _decide(new: NewJob, batch: _Batch) -> _Answer | _Conflict:
    key = _key_of(new) if new.key is not None else None
    if new.key is not None and key is not None and (known := batch.keys.get(key)) is not None:
        # What an imported job was asked under its key is not known; it is taken for the same.
        differs = known.fingerprint not in ("", new.key.fingerprint)
        if differs and new.key.reuse is KeyReuse.REFUSE:
            return _Conflict(
                Reason.IDEMPOTENCY_KEY_REUSED,
                "the key was used before by a request that asked something else",
                {},
                known,
            )
        return _Answer(known, replayed=True, differs=differs)
    known = _Known(fingerprint=new.key.fingerprint if new.key else "")
    if new.external_id is not None:
        taken = batch.externals.setdefault(_external_of(new), known)
        if taken is not known:
            return _Conflict(
                Reason.ALREADY_EXISTS,
                f"a job {new.external_id!r} exists already",
                {"external_id": new.external_id},
                taken,
            )
    if key is not None:
        batch.keys[key] = known
    batch.accepted.append(_Accepted(new, known, key))
    return _Answer(known, replayed=False, differs=False)


def _undo(accepted: _Accepted, batch: _Batch) -> None:
    if accepted.key is not None:
        del batch.keys[accepted.key]
    if accepted.new.external_id is not None:
        del batch.externals[_external_of(accepted.new)]


def _write(unit: Unit, accepted: list[_Accepted]) -> None:
    """Write what was accepted: four statements, however much it is, and one more for schedules."""
    if not accepted:
        return
    pieces = sum(len(one.new.subjobs) for one in accepted)
    number, id_ = unit.numbers(jobs=len(accepted), subjobs=pieces)
    keys, jobs, subjobs, events, schedules = [], [], [], [], []
    for offset, one in enumerate(accepted):
        new = one.new
        row = job_row(unit, new, number + offset)
        one.known.number, one.known.row = row[0], row
        jobs.append(row)
        for ordinal, piece in enumerate(new.subjobs):
            subjobs.append(new_subjob(piece, id_, ordinal, unit.now, row))
            id_ += 1
        events += event_rows(new, row)
        if new.schedule is not None:
            schedules.append(new_schedule(new.schedule, row))
        if new.key is not None and one.key is not None:
            keys.append((*one.key, new.key.fingerprint, row[0], _expiry(new, unit.now)))
    # Sorted, so that two writers of one database never wait for each other in a circle.
    keys.sort()
    sets = unit.sets
    sets.insert("request_keys", _KEY_COLUMNS, keys)
    sets.insert("jobs", NEW_JOB_COLUMNS, jobs)
    place(unit, map(_SOURCES, jobs))
    sets.insert("subjobs", NEW_SUBJOB_COLUMNS, subjobs)
    sets.insert("schedules", NEW_SCHEDULE_COLUMNS, schedules)
    unit.tell(events)
    unit.woken.update(row[_QUEUE] for row in subjobs)


_QUEUE: Final = NEW_SUBJOB_COLUMNS.index("queue")
_SOURCES: Final = itemgetter(*map(NEW_JOB_COLUMNS.index, SOURCES))


def _expiry(new: NewJob, now: int) -> int | None:
    assert new.key is not None
    return None if new.key.lifetime is None else now + round(new.key.lifetime * MICROS)


def _read_replayed(unit: Unit, answers: list[list[_Answer] | _Conflict]) -> None:
    """Read the jobs that were there before."""
    missing: dict[int, list[_Known]] = {}
    for answer in answers:
        if not isinstance(answer, _Conflict):
            for one in answer:
                if one.known.row is None:
                    missing.setdefault(one.known.number, []).append(one.known)
    rows = unit.sets.among(("number",), [(number,) for number in sorted(missing)], _JOBS)
    for row in rows:
        for known in missing[row[0]]:
            known.row = row
