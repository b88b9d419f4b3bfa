"""Between the messages of jobyard.jobs.v1 and the domain: values, jobs, their pieces and their events."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, Protocol, TypeAlias, TypeVar

import orjson
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from jobyard.jobs.v1 import definition_pb2, event_pb2, schedule_pb2, state_pb2, subjob_pb2
from jobyard_server.domain.event import Event, EventType
from jobyard_server.domain.job import (
    Attempt,
    Attribute,
    Job,
    LeaseLoss,
    Micros,
    Outcome,
    RetryPolicy,
    Subjob,
    TimeLimits,
)
from jobyard_server.domain.reason import Reason, Violation, invalid, refuse
from jobyard_server.domain.state import Counters, Mode, State
from jobyard_server.domain.stored_json import stored

MAX_DEPTH: Final = 100
INT64_MAX: Final = 2**63 - 1

Word = TypeVar("Word", bound=StrEnum)
Number = TypeVar("Number", bound=int)
Number_co = TypeVar("Number_co", bound=int, covariant=True)
Fields: TypeAlias = Any
"""The fields of a message by their names, for the message around it: both are made at once, and nothing is copied."""


class ProtoEnum(Protocol[Number_co]):
    """A generated enum."""

    def Value(self, name: str) -> Number_co:  # noqa: N802 - protobuf's name
        """The number of a value."""


def numbers(words: type[Word], enum: ProtoEnum[Number], prefix: str) -> dict[Word, Number]:
    """The proto value of each word; a word the proto lacks fails here, at import."""
    return {word: enum.Value(f"{prefix}_{word.value}") for word in words}


MODE: Final = numbers(Mode, state_pb2.Mode, "MODE")
STATE: Final = numbers(State, state_pb2.State, "STATE")
OUTCOME: Final = numbers(Outcome, subjob_pb2.AttemptOutcome, "ATTEMPT_OUTCOME")
EVENT_TYPE: Final = numbers(EventType, event_pb2.EventType, "EVENT_TYPE")
LEASE_LOSS: Final = numbers(LeaseLoss, definition_pb2.LeaseLoss, "LEASE_LOSS")


def word(table: Mapping[Word, Number], number: int, default: Word, field: str) -> Word:
    """The word of a proto value; 0 is the default."""
    if number == 0:
        return default
    for found, value in table.items():
        if value == number:
            return found
    raise invalid(field, f"has no value {number}")


# --- values ------------------------------------------------------------------------------------------------------


def timestamp(micros: Micros | None) -> Timestamp | None:
    """An instant; ``None`` leaves the field absent."""
    return None if micros is None else Timestamp(**instant(micros))


def instant(micros: Micros) -> dict[str, int]:
    """The fields of a timestamp."""
    seconds, rest = divmod(micros, 1_000_000)
    return {"seconds": seconds, "nanos": rest * 1000}


def _instants(**moments: Micros | None) -> dict[str, dict[str, int]]:
    """The fields of timestamps, without those that are absent."""
    return {name: instant(at) for name, at in moments.items() if at is not None}


def micros(message: Timestamp) -> Micros:
    """The instant of a timestamp, cut to microseconds."""
    return message.seconds * 1_000_000 + message.nanos // 1000


def duration(seconds: float) -> Duration:
    """A duration of so many seconds."""
    whole = round(seconds * 1_000_000)
    return Duration(seconds=whole // 1_000_000, nanos=whole % 1_000_000 * 1000)


def duration_or_none(seconds: float | None) -> Duration | None:
    """A duration; ``None`` leaves the field absent."""
    return None if seconds is None else duration(seconds)


def seconds(message: Duration) -> float:
    """The seconds of a duration."""
    return message.seconds + message.nanos / 1_000_000_000


def etag(revision: int) -> str:
    """The etag of a revision."""
    return str(revision)


def revision(text: str) -> int | None:
    """The revision that an etag asks for; ``None`` for any. What is no etag of ours is the current one of nothing."""
    if text in {"", "*"}:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        problem = "is not the current one"
        raise refuse(Reason.ETAG_MISMATCH, f"etag: {text!r} {problem}.", Violation("etag", problem), etag=text)
    return int(text)


def job_ref(text: str) -> str | int:
    """What a caller names a job by: its number in decimal, else its uid."""
    if text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= INT64_MAX:
        return int(text)
    return text


def any_json(field: str, text: str) -> str:
    """JSON text as it came; refused when it is none. Over REST it has been read before, over gRPC it has not."""
    _parse(field, text)
    return text


def object_json(field: str, text: str) -> str:
    """The text of a JSON object as it came; an empty field is an empty object."""
    if not text:
        return "{}"
    if not isinstance(_parse(field, text), dict):
        raise invalid(field, "is not a JSON object")
    return text


def attributes(field: str, text: str) -> dict[str, Attribute]:
    """Attributes from the text of a JSON object."""
    found = _parse(field, text) if text else {}
    if not isinstance(found, dict):
        raise invalid(field, "is not a JSON object")
    for name, value in found.items():
        if isinstance(value, bool) or not (value is None or isinstance(value, str | int)) or _too_large(value):
            raise invalid(f"{field}.{name}", "is neither a string nor an integer of 64 bits")
    return found


def _too_large(value: str | int | None) -> bool:
    return isinstance(value, int) and not -INT64_MAX - 1 <= value <= INT64_MAX


def _parse(field: str, text: str) -> object:
    try:
        found: object = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise invalid(field, f"is not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    # Whoever reads it later need not be as patient as this parser.
    if text.count("[") + text.count("{") > MAX_DEPTH and _deeper_than(found, MAX_DEPTH):
        raise invalid(field, f"is nested deeper than {MAX_DEPTH} levels")
    return found


def _deeper_than(value: object, levels: int) -> bool:
    layer = [value]
    for _ in range(levels):
        inner: list[object] = []
        for item in layer:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        if not inner:
            return False
        layer = inner
    return True


# --- jobs --------------------------------------------------------------------------------------------------------


def job_fields(job: Job, schedule: schedule_pb2.Schedule | None = None) -> Fields:
    """A job as clients see it, with its schedule where it has one that is to be seen."""
    # In plain values, and of what is mostly empty only what says something: it takes a third of the time.
    said: dict[str, Any] = {
        "number": job.number,
        "uid": job.uid,
        "api": job.api,
        "tenant": job.tenant,
        "mode": MODE[job.mode],
        "state": STATE[job.state],
        "terminal": job.terminal,
        "subjobs": _counts(job.counters),
        "queue": job.queue,
        "priority": job.priority,
        "fair_key": job.fair_key,
        "spec": job.spec,
        "attributes": orjson.dumps(dict(job.attributes)).decode(),
        "generation": job.generation,
        "etag": etag(job.revision),
        "created_by": job.created_by,
        "create_time": instant(job.created_at),
        "update_time": instant(job.updated_at),
        "schedule": schedule,
    }
    return said | _seldom(job)


def _seldom(job: Job) -> dict[str, Any]:
    """What few jobs have."""
    facts = (
        ("external_id", job.external_id),
        ("display_name", job.display_name),
        ("reason", job.reason),
        ("message", job.message),
        ("resumable", job.resumable and job.state is State.FAILED),
        ("cancel_requested", job.control.cancel_requested),
        ("definition", job.definition),
        ("definition_version", job.definition_version),
        ("labels", job.labels),
        ("parent", job.parent),
    )
    moments = _instants(
        start_time=job.started_at, end_time=job.finished_at, expire_time=job.expires_at, due_time=job.due_at
    )
    return {name: value for name, value in facts if value} | moments


def _counts(counters: Counters) -> dict[str, int]:
    """The fields of what is counted by state."""
    return {
        "pending": counters.pending,
        "running": counters.running,
        "suspended": counters.suspended,
        "cancelling": counters.cancelling,
        "succeeded": counters.succeeded,
        "failed": counters.failed,
        "partially_failed": counters.partially_failed,
        "cancelled": counters.cancelled,
    }


def subjob_fields(subjob: Subjob) -> Fields:
    """A piece of a job as clients see it."""
    payload, result = stored(subjob.payload), stored(subjob.result)
    moments = _instants(
        next_attempt_time=subjob.wake_at,
        start_time=subjob.started_at,
        end_time=subjob.finished_at,
        deadline=subjob.deadline,
    )
    said: dict[str, Any] = {
        "job": subjob.job,
        "ordinal": subjob.ordinal,
        "key": subjob.key,
        "queue": subjob.queue,
        "state": STATE[subjob.state],
        "reason": subjob.reason,
        "message": subjob.message,
        "payload": subjob.payload if payload is None else "null",
        "payload_bytes": 0 if payload is None else payload.size,
        "result": subjob.result if result is None else "null",
        "result_bytes": 0 if result is None else result.size,
        "generation": subjob.generation,
        "attempts": subjob.attempts,
        "create_time": instant(subjob.created_at),
        "update_time": instant(subjob.updated_at),
    }
    return said | moments


def attempt_message(attempt: Attempt) -> subjob_pb2.Attempt:
    """An attempt as clients see it."""
    return subjob_pb2.Attempt(
        number=attempt.number,
        worker=attempt.worker,
        outcome=OUTCOME[attempt.outcome],
        reason=attempt.reason,
        message=attempt.message,
        exit_code=attempt.exit_code,
        start_time=timestamp(attempt.started_at),
        end_time=timestamp(attempt.ended_at),
        log_bytes=attempt.log_size,
    )


def event_message(event: Event) -> event_pb2.Event:
    """An event as clients see it."""
    return event_pb2.Event(
        job=event.job,
        job_uid=event.job_uid,
        job_seq=event.job_seq,
        api=event.api,
        tenant=event.tenant,
        type=EVENT_TYPE[event.type],
        state=STATE[event.state],
        subjob=event.subjob,
        subjob_state=STATE[event.subjob_state] if event.subjob_state else state_pb2.STATE_UNSPECIFIED,
        attempt=event.attempt or 0,
        reason=event.reason,
        message=event.message,
        actor=event.actor,
        request_id=event.request_id,
        time=timestamp(event.at),
    )


# --- time limits and retry policies -------------------------------------------------------------------------------


def retry_policy(message: definition_pb2.RetryPolicy) -> RetryPolicy:
    """A retry policy, what is not said filled in."""
    usual = RetryPolicy()
    return RetryPolicy(
        max_attempts=message.max_attempts or 1,
        initial_backoff=seconds(message.initial_backoff)
        if message.HasField("initial_backoff")
        else usual.initial_backoff,
        multiplier=message.multiplier or usual.multiplier,
        max_backoff=seconds(message.max_backoff) if message.HasField("max_backoff") else usual.max_backoff,
        non_retryable=frozenset(message.non_retryable_reasons),
    )


def retry_message(policy: RetryPolicy) -> definition_pb2.RetryPolicy:
    """A retry policy as clients see it."""
    return definition_pb2.RetryPolicy(
        max_attempts=policy.max_attempts,
        initial_backoff=duration(policy.initial_backoff),
        multiplier=policy.multiplier,
        max_backoff=duration(policy.max_backoff),
        non_retryable_reasons=sorted(policy.non_retryable),
    )


def time_limits(message: definition_pb2.TimeLimits) -> TimeLimits:
    """Time limits; what is not said is none."""
    said = (
        seconds(getattr(message, name)) if message.HasField(name) else None
        for name in ("start", "attempt", "heartbeat", "total")
    )
    return TimeLimits(*said)


def limits_message(limits: TimeLimits) -> definition_pb2.TimeLimits | None:
    """Time limits as clients see them; absent when there are none."""
    if limits == TimeLimits():
        return None
    return definition_pb2.TimeLimits(
        start=duration_or_none(limits.start),
        attempt=duration_or_none(limits.attempt),
        heartbeat=duration_or_none(limits.heartbeat),
        total=duration_or_none(limits.total),
    )
