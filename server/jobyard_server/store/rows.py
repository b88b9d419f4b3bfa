"""Rows of jobs, subjobs, attempts and events to the domain and back: with ``rows_catalog`` the only such mapping.

A row is a tuple in the order of the columns named beside its function. PostgreSQL cannot keep U+0000 in a text, so
it is escaped at this border, in every database alike.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import orjson

from jobyard_server.domain.event import ENGINE, Event, EventType
from jobyard_server.domain.job import Attempt, Job, Outcome, RetryPolicy, Subjob, TimeLimits
from jobyard_server.domain.state import Control, Counters, Mode, State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobyard_server.domain.job import Attribute, NewJob, NewSubjob

Row = tuple[Any, ...]

_STATES: Final = {state.value: state for state in State}
_MODES: Final = {mode.value: mode for mode in Mode}
_DEFAULT_RETRY: Final = RetryPolicy()
_NO_LIMITS: Final = TimeLimits()
MICROS: Final = 1_000_000


# --- text and JSON -------------------------------------------------------------------------------------------------


def kept(text: str) -> str:
    """A text as it is stored."""
    if "\0" in text or "\x1a" in text:
        return text.replace("\x1a", "\x1a\x1a").replace("\0", "\x1a0")
    return text


def given(text: str) -> str:
    """A stored text as it was given."""
    if "\x1a" not in text:
        return text
    # Split at the escaped escapes first, so that "\x1a\x1a0" is not taken for an escaped U+0000.
    return "\x1a".join(part.replace("\x1a0", "\0") for part in text.split("\x1a\x1a"))


def kept_or_none(text: str | None) -> str | None:
    """The same for a text that may be missing."""
    return None if text is None else kept(text)


def given_or_none(text: str | None) -> str | None:
    """The same for a text that may be missing."""
    return None if text is None else given(text)


def attributes_text(values: Mapping[str, Attribute]) -> str:
    """Attributes or labels as a JSON object; those without a value are left out."""
    if not values:
        return "{}"
    said = {
        kept(name): kept(value) if isinstance(value, str) else value
        for name, value in values.items()
        if value is not None
    }
    return orjson.dumps(said).decode()


def attributes(text: str) -> dict[str, Attribute]:
    """The attributes in a JSON object."""
    if text == "{}":
        return {}
    read: dict[str, Attribute] = orjson.loads(text)
    if "\\u001a" in text:
        return {given(name): given(value) if isinstance(value, str) else value for name, value in read.items()}
    return read


def labels(text: str) -> dict[str, str]:
    """The labels in a JSON object."""
    if text == "{}":
        return {}
    return {name: str(value) for name, value in attributes(text).items()}


def retry_text(policy: RetryPolicy) -> str:
    """A retry policy as JSON; empty for the default one."""
    if policy == _DEFAULT_RETRY:
        return ""
    said = [
        policy.max_attempts,
        policy.initial_backoff,
        policy.multiplier,
        policy.max_backoff,
        sorted(kept(reason) for reason in policy.non_retryable),
    ]
    return orjson.dumps(said).decode()


@lru_cache(maxsize=1024)
def retry_policy(text: str) -> RetryPolicy:
    """The policy in such a text."""
    if not text:
        return _DEFAULT_RETRY
    most, initial, multiplier, longest, reasons = orjson.loads(text)
    return RetryPolicy(most, initial, multiplier, longest, frozenset(given(reason) for reason in reasons))


def limits_text(limits: TimeLimits) -> str:
    """Time limits as JSON, in microseconds; empty for none."""
    if limits == _NO_LIMITS:
        return ""
    said = [micros(limits.start), micros(limits.attempt), micros(limits.heartbeat), micros(limits.total)]
    return orjson.dumps(said).decode()


@lru_cache(maxsize=1024)
def time_limits(text: str) -> TimeLimits:
    """The limits in such a text."""
    if not text:
        return _NO_LIMITS
    return TimeLimits(*(None if value is None else value / MICROS for value in orjson.loads(text)))


def after(now: int, seconds: float | None) -> int | None:
    """So many seconds later; ``None`` for no limit."""
    return None if seconds is None else now + round(seconds * MICROS)


def micros(seconds: float | None) -> int | None:
    """A duration as it is stored."""
    return None if seconds is None else round(seconds * MICROS)


# --- jobs ----------------------------------------------------------------------------------------------------------

JOB_COLUMNS: Final = (
    *("number", "uid", "api", "tenant", "external_id", "mode", "state", "state_word", "reason", "message"),
    *("cancel_requested", "suspended", "split_complete", "exhausted", "running_now", "finished_as"),
    *("n_pending", "n_running", "n_suspended", "n_cancelling", "n_succeeded", "n_failed"),
    *("n_partially_failed", "n_cancelled", "generation", "revision", "definition", "definition_version"),
    *("queue", "priority", "fair_key", "display_name", "spec", "attributes", "labels", "resumable", "created_by"),
    *("created_at", "updated_at", "started_at", "finished_at", "expires_at", "last_event", "parent", "due_at"),
)


@lru_cache(maxsize=256)
def control_of(
    cancel_requested: int,
    suspended: int,
    split_complete: int,
    exhausted: int,
    running_now: int,
    finished_as: str | None,
) -> Control:
    """What was asked of a job, from the columns that say it."""
    return Control(
        bool(cancel_requested),
        bool(suspended),
        bool(split_complete),
        bool(exhausted),
        running_now,
        None if finished_as is None else _STATES[finished_as],
    )


# Most jobs share a few of these, and making a frozen object costs more than finding it.
counters_of: Final = lru_cache(maxsize=1024)(Counters)


def job(row: Sequence[Any]) -> Job:
    """A job from a row of :data:`JOB_COLUMNS`."""
    state = _STATES[row[6]]
    return Job(
        number=row[0],
        uid=row[1],
        api=row[2],
        tenant=given(row[3]),
        external_id=given_or_none(row[4]),
        mode=_MODES[row[5]],
        state=state,
        state_word=row[7],
        reason=given(row[8]),
        message=given(row[9]),
        control=control_of(*row[10:16]),
        counters=counters_of(*row[16:24]),
        generation=row[24],
        revision=row[25],
        definition=given(row[26]),
        definition_version=row[27],
        queue=given(row[28]),
        priority=row[29],
        fair_key=given(row[30]),
        display_name=given(row[31]),
        spec=row[32],
        attributes=attributes(row[33]),
        labels=labels(row[34]),
        # The row says whether a FAILED end may be resumed, the job whether it may be now.
        resumable=bool(row[35]) and state is State.FAILED,
        created_by=given(row[36]),
        created_at=row[37],
        updated_at=row[38],
        started_at=row[39],
        finished_at=row[40],
        expires_at=row[41],
        last_event=row[42],
        parent=row[43],
        due_at=row[44],
    )


NEW_JOB_COLUMNS: Final = (*JOB_COLUMNS, "retry", "on_lease_loss", "expires_after", "limits")
_LIMITS: Final = NEW_JOB_COLUMNS.index("limits")


def new_job(
    new: NewJob,
    number: int,
    uid: str,
    now: int,
    *,
    state: State,
    word: str,
    last_event: int,
    expires_at: int | None = None,
) -> Row:
    """The row of a job as it is submitted, in the order of :data:`NEW_JOB_COLUMNS`; its subjobs wait."""
    ended = now if state.terminal else None
    keep = micros(new.expires_after)
    actor = kept(new.actor)
    return (
        *(number, uid, new.api, kept(new.tenant), kept_or_none(new.external_id), new.mode.value, state.value, word),
        *("", "", False, new.schedule is not None and new.schedule.paused, new.split_complete, False, 0, None),
        *(len(new.subjobs), 0, 0, 0, 0, 0, 0, 0, 1, 1),
        *(kept(new.definition), new.definition_version, kept(new.queue), new.priority, kept(new.fair_key)),
        *(
            kept(new.display_name),
            new.spec,
            attributes_text(new.attributes),
            attributes_text(new.labels),
            new.resumable,
        ),
        *(actor, now, now, None, ended, expires_at, last_event),
        *(new.parent, new.due_at, retry_text(new.retry), new.on_lease_loss.value, keep, limits_text(new.limits)),
    )


# --- subjobs and attempts ------------------------------------------------------------------------------------------

SUBJOB_COLUMNS: Final = (
    *("id", "job", "ordinal", "key", "queue", "priority", "fair_key", "state", "reason", "message", "generation"),
    *("payload", "result", "attempts", "attempt_no", "wake_at", "created_at", "updated_at", "started_at"),
    *("finished_at", "limit_at", "silence_at", "total_at"),
)


def subjob(row: Sequence[Any]) -> Subjob:
    """A subjob from a row of :data:`SUBJOB_COLUMNS`."""
    return Subjob(
        id=row[0],
        job=row[1],
        ordinal=row[2],
        key=given(row[3]),
        queue=given(row[4]),
        priority=row[5],
        fair_key=given(row[6]),
        state=_STATES[row[7]],
        reason=given(row[8]),
        message=given(row[9]),
        generation=row[10],
        payload=row[11],
        result=row[12],
        attempts=row[13],
        attempt_no=row[14],
        wake_at=row[15],
        created_at=row[16],
        updated_at=row[17],
        started_at=row[18],
        finished_at=row[19],
        limit_at=row[20],
        silence_at=row[21],
        total_at=row[22],
    )


NEW_SUBJOB_COLUMNS: Final = (*SUBJOB_COLUMNS, "tenant")


def new_subjob(
    new: NewSubjob, id_: int, ordinal: int, now: int, job_row: Sequence[Any], state: State = State.PENDING
) -> Row:
    """The row of a subjob as it is made, in the order of :data:`NEW_SUBJOB_COLUMNS`.

    ``job_row`` is the row of its job, in the order of :data:`NEW_JOB_COLUMNS`.
    """
    limit_at = total_at = None
    if job_row[_LIMITS]:
        limits = time_limits(job_row[_LIMITS])
        limit_at, total_at = after(now, limits.start), after(now, limits.total)
    return (
        *(id_, job_row[0], ordinal, kept(new.key), job_row[28] if new.queue is None else kept(new.queue)),
        *(job_row[29], job_row[30], state.value, "", "", job_row[24], new.payload, "null", 0, 0),
        *(None, now, now, None, None, limit_at, None, total_at, job_row[3]),
    )


ATTEMPT_COLUMNS: Final = (
    *("subjob", "number", "worker", "outcome", "reason", "message", "exit_code", "started_at", "ended_at"),
    "log_size",
)


def attempt(row: Sequence[Any]) -> Attempt:
    """An attempt from a row of :data:`ATTEMPT_COLUMNS`."""
    return Attempt(
        subjob=row[0],
        number=row[1],
        worker=given(row[2]),
        outcome=Outcome(row[3]),
        reason=given(row[4]),
        message=given(row[5]),
        exit_code=row[6],
        started_at=row[7],
        ended_at=row[8],
        log_size=row[9],
    )


# --- events --------------------------------------------------------------------------------------------------------

EVENT_COLUMNS: Final = (
    *("position", "job", "job_uid", "job_seq", "api", "tenant", "type", "state", "subjob", "subjob_state"),
    *("attempt", "reason", "message", "actor", "request_id", "at"),
)


def event(row: Sequence[Any]) -> Event:
    """An event from a row of :data:`EVENT_COLUMNS`."""
    return Event(
        position=row[0],
        job=row[1],
        job_uid=row[2],
        job_seq=row[3],
        api=row[4],
        tenant=given(row[5]),
        type=EventType(row[6]),
        state=_STATES[row[7]],
        subjob=row[8],
        subjob_state=None if row[9] is None else _STATES[row[9]],
        attempt=row[10],
        reason=given(row[11]),
        message=given(row[12]),
        actor=given(row[13]) or ENGINE,
        request_id=given(row[14]),
        at=row[15],
    )
