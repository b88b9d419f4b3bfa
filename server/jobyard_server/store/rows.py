"""Rows of jobs, subjobs, attempts and events to the domain and back: with ``rows_catalog`` the only such mapping.

A row is a tuple in the order of the columns named beside its function. PostgreSQL cannot keep U+0000 in a text, so
it is escaped at this border, in every database alike.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import orjson

from jobyard_server.domain.event import Event, EventType
from jobyard_server.domain.job import Attempt, Job, Outcome, RetryPolicy, Subjob
from jobyard_server.domain.state import Control, Counters, Mode, State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobyard_server.domain.job import Attribute

Row = tuple[Any, ...]

_STATES: Final = {state.value: state for state in State}
_DEFAULT_RETRY: Final = RetryPolicy()


# --- text and JSON -------------------------------------------------------------------------------------------------


def stored(text: str) -> str:
    """A text as it is stored."""
    if "\0" in text or "\x1a" in text:
        return text.replace("\x1a", "\x1a\x1a").replace("\0", "\x1a0")
    return text


def restored(text: str) -> str:
    """A stored text as it was given."""
    if "\x1a" not in text:
        return text
    # Split at the escaped escapes first, so that "\x1a\x1a0" is not taken for an escaped U+0000.
    return "\x1a".join(part.replace("\x1a0", "\0") for part in text.split("\x1a\x1a"))


def stored_or_none(text: str | None) -> str | None:
    """The same for a text that may be missing."""
    return None if text is None else stored(text)


def restored_or_none(text: str | None) -> str | None:
    """The same for a text that may be missing."""
    return None if text is None else restored(text)


def attributes_text(values: Mapping[str, Attribute]) -> str:
    """Attributes as a JSON object; those without a value are left out."""
    if not values:
        return "{}"
    said = {
        stored(name): stored(value) if isinstance(value, str) else value
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
        return {restored(name): restored(value) if isinstance(value, str) else value for name, value in read.items()}
    return read


def labels_text(values: Mapping[str, str]) -> str:
    """Labels as a JSON object."""
    return attributes_text(values)


def labels(text: str) -> dict[str, str]:
    """The labels in a JSON object."""
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
        sorted(stored(reason) for reason in policy.non_retryable),
    ]
    return orjson.dumps(said).decode()


@lru_cache(maxsize=1024)
def retry_policy(text: str) -> RetryPolicy:
    """The policy in such a text."""
    if not text:
        return _DEFAULT_RETRY
    most, initial, multiplier, longest, reasons = orjson.loads(text)
    return RetryPolicy(most, initial, multiplier, longest, frozenset(restored(reason) for reason in reasons))


# --- jobs ----------------------------------------------------------------------------------------------------------

JOB_COLUMNS: Final = (
    *("number", "uid", "api", "tenant", "external_id", "mode", "state", "state_word", "reason", "message"),
    *("cancel_requested", "suspended", "split_complete", "exhausted", "running_now", "finished_as"),
    *("n_pending", "n_running", "n_suspended", "n_cancelling", "n_succeeded", "n_failed"),
    *("n_partially_failed", "n_cancelled", "generation", "revision", "definition", "definition_version"),
    *("queue", "priority", "fair_key", "display_name", "spec", "attributes", "labels", "resumable"),
    *("retry", "on_lease_loss", "created_by", "created_at", "updated_at", "started_at", "finished_at"),
    *("expires_after", "expires_at", "last_event"),
)
"""All columns of the table, in its order."""


def job_of(row: Sequence[Any]) -> Job:
    """A job from a row of :data:`JOB_COLUMNS`."""
    state = _STATES[row[6]]
    return Job(
        number=row[0],
        uid=row[1],
        api=row[2],
        tenant=restored(row[3]),
        external_id=restored_or_none(row[4]),
        mode=Mode(row[5]),
        state=state,
        state_word=row[7],
        reason=restored(row[8]),
        message=restored(row[9]),
        control=Control(
            bool(row[10]),
            bool(row[11]),
            bool(row[12]),
            bool(row[13]),
            row[14],
            None if row[15] is None else _STATES[row[15]],
        ),
        counters=Counters(*row[16:24]),
        generation=row[24],
        revision=row[25],
        definition=restored(row[26]),
        definition_version=row[27],
        queue=restored(row[28]),
        priority=row[29],
        fair_key=restored(row[30]),
        display_name=restored(row[31]),
        spec=row[32],
        attributes=attributes(row[33]),
        labels=labels(row[34]),
        # The row says whether a FAILED end may be resumed, the job whether it may be now.
        resumable=bool(row[35]) and state is State.FAILED,
        created_by=restored(row[38]),
        created_at=row[39],
        updated_at=row[40],
        started_at=row[41],
        finished_at=row[42],
        expires_at=row[44],
        last_event=row[45],
    )


# --- subjobs and attempts ------------------------------------------------------------------------------------------

SUBJOB_COLUMNS: Final = (
    *("id", "job", "ordinal", "tenant", "key", "queue", "priority", "fair_key", "state", "reason", "message"),
    *("generation", "payload", "result", "attempts", "attempt_no", "wake_at", "created_at", "updated_at"),
    *("started_at", "finished_at"),
)
"""All columns of the table, in its order."""


def subjob_of(row: Sequence[Any]) -> Subjob:
    """A subjob from a row of :data:`SUBJOB_COLUMNS`."""
    return Subjob(
        id=row[0],
        job=row[1],
        ordinal=row[2],
        key=restored(row[4]),
        queue=restored(row[5]),
        priority=row[6],
        fair_key=restored(row[7]),
        state=_STATES[row[8]],
        reason=restored(row[9]),
        message=restored(row[10]),
        generation=row[11],
        payload=row[12],
        result=row[13],
        attempts=row[14],
        attempt_no=row[15],
        wake_at=row[16],
        created_at=row[17],
        updated_at=row[18],
        started_at=row[19],
        finished_at=row[20],
    )


ATTEMPT_COLUMNS: Final = (
    *("subjob", "number", "worker", "outcome", "reason", "message", "exit_code", "started_at", "ended_at"),
    "log_size",
)


def attempt_of(row: Sequence[Any]) -> Attempt:
    """An attempt from a row of :data:`ATTEMPT_COLUMNS`."""
    return Attempt(
        subjob=row[0],
        number=row[1],
        worker=restored(row[2]),
        outcome=Outcome(row[3]),
        reason=restored(row[4]),
        message=restored(row[5]),
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


def event_of(row: Sequence[Any]) -> Event:
    """An event from a row of :data:`EVENT_COLUMNS`."""
    return Event(
        position=row[0],
        job=row[1],
        job_uid=row[2],
        job_seq=row[3],
        api=row[4],
        tenant=restored(row[5]),
        type=EventType(row[6]),
        state=_STATES[row[7]],
        subjob=row[8],
        subjob_state=None if row[9] is None else _STATES[row[9]],
        attempt=row[10],
        reason=restored(row[11]),
        message=restored(row[12]),
        actor=restored(row[13]),
        request_id=restored(row[14]),
        at=row[15],
    )
