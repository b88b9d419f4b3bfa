"""The rows of a job that has just been accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobyard_server.domain.event import EventType
from jobyard_server.domain.state import Control, Counters, Mode, State, fold
from jobyard_server.store.rows import NEW_JOB_COLUMNS, kept, micros, new_job
from jobyard_server.store.words import word

if TYPE_CHECKING:
    from jobyard_server.domain.job import NewJob
    from jobyard_server.store.rows import Row
    from jobyard_server.store.unit import Unit

_AT: Final = {name: index for index, name in enumerate(NEW_JOB_COLUMNS)}
_UID, _STATE, _TENANT = _AT["uid"], _AT["state"], _AT["tenant"]
_BY, _CREATED = _AT["created_by"], _AT["created_at"]


def job_row(unit: Unit, new: NewJob, number: int) -> Row:
    """The values of the columns of a new job. One without subjobs may have ended already."""
    state = State.PENDING
    if not new.subjobs or new.mode is not Mode.ONCE:
        paused = new.schedule is not None and new.schedule.paused
        control = Control(suspended=paused, split_complete=new.split_complete)
        state = fold(new.mode, control, Counters(len(new.subjobs)))
    return new_job(
        new,
        number,
        unit.new_uid(),
        unit.now,
        state=state,
        word=word(unit.words, new.api, state),
        last_event=2 if state.terminal else 1,
        expires_at=unit.keep.until(new.api, unit.now, micros(new.expires_after)) if state.terminal else None,
    )


def event_rows(new: NewJob, job: Row) -> list[Row]:
    """What a submit tells, in the columns of the ledger. An end is always told by its own event."""
    state = job[_STATE]
    ended = State(state).terminal
    told = [(1, EventType.JOB_SUBMITTED.value, State.PENDING.value if ended else state)]
    if ended:
        told.append((2, EventType.JOB_CHANGED.value, state))
    return [
        (
            *(job[0], job[_UID], sequence, new.api, job[_TENANT], type_, told_state),
            *(None, None, None, "", "", job[_BY], kept(new.request_id), job[_CREATED]),
        )
        for sequence, type_, told_state in told
    ]
