"""Between the schedule messages of jobyard.jobs.v1 and the domain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from jobyard.jobs.v1 import schedule_access_pb2, schedule_pb2
from jobyard_server.apis.jobs.mapping import Fields, duration, job_fields, micros, numbers, seconds, timestamp, word
from jobyard_server.domain.cron import SecondsField
from jobyard_server.domain.firing import Fate
from jobyard_server.domain.job import LATEST, Job, Micros
from jobyard_server.domain.reason import invalid
from jobyard_server.domain.schedule import CatchUp, Overlap, Schedule
from jobyard_server.domain.state import Mode
from jobyard_server.usecases.drafts import ScheduleDraft
from jobyard_server.usecases.ports import FireRecord, KeptSchedule, Reader
from jobyard_server.usecases.update_schedule import ScheduleChange

SECONDS: Final = numbers(SecondsField, schedule_pb2.CronSeconds, "CRON_SECONDS")
OVERLAP: Final = numbers(Overlap, schedule_pb2.OverlapPolicy, "OVERLAP_POLICY")
CATCH_UP: Final = numbers(CatchUp, schedule_pb2.CatchUpPolicy, "CATCH_UP_POLICY")
FATE: Final = numbers(Fate, schedule_pb2.FireFate, "FIRE_FATE")

CHANGEABLE: Final = (
    *("cron", "run_time", "seconds", "time_zone", "start_time", "end_time", "overlap", "catch_up"),
    *("catch_up_window", "jitter", "remaining", "next_due_time"),
)
_INSTEAD: Final = {"cron": "run_time", "run_time": "cron"}


# --- what comes in -------------------------------------------------------------------------------------------------


def schedule_draft(message: schedule_pb2.Schedule, field: str = "schedule") -> ScheduleDraft:
    """What a caller says about a schedule."""
    schedule = Schedule(
        cron=message.cron,
        at=instant_of(message, "run_time", field),
        seconds=word(SECONDS, message.seconds, SecondsField.NONE, f"{field}.seconds"),
        time_zone=message.time_zone or "UTC",
        start=instant_of(message, "start_time", field),
        end=instant_of(message, "end_time", field),
        overlap=word(OVERLAP, message.overlap, Overlap.SKIP, f"{field}.overlap"),
        catch_up=word(CATCH_UP, message.catch_up, CatchUp.NEWEST, f"{field}.catch_up"),
        catch_up_window=seconds(message.catch_up_window) if message.HasField("catch_up_window") else None,
        jitter=seconds(message.jitter),
    )
    return ScheduleDraft(
        schedule=schedule,
        remaining=message.remaining if message.HasField("remaining") else None,
        paused=message.paused,
        next_due=instant_of(message, "next_due_time", field),
    )


def instant(message: Timestamp, field: str) -> Micros:
    """The instant of a timestamp that calendars know."""
    at = micros(message)
    if not 0 <= at <= LATEST:
        raise invalid(field, "is not between the years 1970 and 9999")
    return at


def instant_of(message: Message, name: str, field: str) -> Micros | None:
    """The instant in a field of a message; ``None`` where it is absent."""
    return instant(getattr(message, name), f"{field}.{name}") if message.HasField(name) else None


class Update:
    """What a caller changes of a schedule, to be applied to it as it is then."""

    def __init__(self, request: schedule_access_pb2.UpdateScheduleRequest) -> None:
        self._wanted = request.schedule
        self._names = _changed(request)

    def __call__(self, kept: KeptSchedule, _now: Micros) -> ScheduleChange:
        """The schedule as it shall be."""
        merged: Any = _said(kept)
        for name in self._names:
            merged.ClearField(name)
            if name in _INSTEAD and _has(self._wanted, name):
                merged.ClearField(_INSTEAD[name])
            _copy(self._wanted, merged, name)
        draft = schedule_draft(merged)
        return ScheduleChange(draft.schedule, draft.remaining, draft.next_due)


def _changed(request: schedule_access_pb2.UpdateScheduleRequest) -> Sequence[str]:
    """The fields that are to change."""
    if not request.HasField("update_mask"):
        said = [descriptor.name for descriptor, _ in request.schedule.ListFields()]
    else:
        said = list(request.update_mask.paths)
    for name in said:
        if name not in CHANGEABLE:
            raise invalid("update_mask", f"names {name!r}; what can be changed is {', '.join(CHANGEABLE)}")
    # In the order of the message: what stands instead of something else comes with it or after it.
    return [name for name in CHANGEABLE if name in said]


def _has(message: schedule_pb2.Schedule, name: str) -> bool:
    return any(descriptor.name == name for descriptor, _ in message.ListFields())


def _copy(source: schedule_pb2.Schedule, target: Any, name: str) -> None:
    if not _has(source, name):
        return
    value = getattr(source, name)
    if isinstance(value, Message):
        getattr(target, name).CopyFrom(value)
    else:
        setattr(target, name, value)


# --- what goes out -------------------------------------------------------------------------------------------------


def _said(kept: KeptSchedule) -> schedule_pb2.Schedule:
    """What a caller said about a schedule, and may change."""
    schedule = kept.schedule
    return schedule_pb2.Schedule(
        cron=schedule.cron,
        run_time=timestamp(schedule.at),
        seconds=SECONDS[schedule.seconds],
        time_zone=schedule.time_zone,
        start_time=timestamp(schedule.start),
        end_time=timestamp(schedule.end),
        overlap=OVERLAP[schedule.overlap],
        catch_up=CATCH_UP[schedule.catch_up],
        catch_up_window=None if schedule.catch_up_window is None else duration(schedule.catch_up_window),
        jitter=duration(schedule.jitter) if schedule.jitter else None,
        remaining=kept.progress.remaining,
    )


def schedule_message(job: Job, kept: KeptSchedule) -> schedule_pb2.Schedule:
    """The schedule of a job as clients see it."""
    message = _said(kept)
    message.paused = job.control.suspended
    message.buffered = len(kept.progress.buffer)
    message.backfilling = len(kept.progress.backfill)
    for name, value in (("next_due_time", kept.progress.next_due), ("last_due_time", kept.last_due)):
        shown = timestamp(value)
        if shown is not None:
            getattr(message, name).CopyFrom(shown)
    return message


def scheduled_fields(job: Job, kept: KeptSchedule | None) -> Fields:
    """A job with its schedule as clients see it."""
    return job_fields(job, None if kept is None else schedule_message(job, kept))


async def shown(read: Reader, job: Job) -> Fields:
    """A job as clients see it, its schedule read where it has one."""
    if job.mode is not Mode.SCHEDULED:
        return job_fields(job)
    return scheduled_fields(job, await read.schedule(job.number))


async def all_shown(read: Reader, jobs: Sequence[Job]) -> list[Fields]:
    """Jobs as clients see them."""
    kept = await read.schedules([job.number for job in jobs if job.mode is Mode.SCHEDULED])
    return [scheduled_fields(job, kept.get(job.number)) for job in jobs]


def fire_message(record: FireRecord) -> schedule_pb2.Fire:
    """What became of a due time, as clients see it."""
    return schedule_pb2.Fire(
        due_time=timestamp(record.due_at),
        fate=FATE[record.fate],
        job=record.child or 0,
        fire_time=timestamp(record.fired_at),
        until_time=timestamp(record.until),
        reason=record.reason,
        message=record.message,
    )


def times(instants: Sequence[Micros]) -> list[Timestamp]:
    """Instants as clients see them."""
    return [shown for one in instants if (shown := timestamp(one)) is not None]
