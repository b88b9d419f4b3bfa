"""The Schedule of a job: when it is due, how far it has come, and how users change that, as pure functions.

A due time is an instant that the schedule names; with jitter the job is made a little later.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Final

from jobyard_server.domain.cron import SecondsField, next_match, read_cron, read_zone
from jobyard_server.domain.reason import invalid

if TYPE_CHECKING:
    from jobyard_server.domain.job import Micros

MAX_WAITING: Final = 1_000
"""Due times that may wait in the buffer of a schedule, and in its backfill."""

_SECOND: Final = 1_000_000


class Overlap(StrEnum):
    """What happens at a due time while a job that the schedule made before is still going on."""

    SKIP = "SKIP"
    """No job is made."""
    BUFFER_ONE = "BUFFER_ONE"
    """The job is made when the one before has ended; of several due times that pass meanwhile the first counts."""
    BUFFER_ALL = "BUFFER_ALL"
    """The jobs are made one after the other."""
    CANCEL_OTHER = "CANCEL_OTHER"
    """The job before is asked to end; the new one is made when it has. Of several due times the last counts."""
    TERMINATE_OTHER = "TERMINATE_OTHER"
    """The job before is ended at once, and the new one made."""
    ALLOW = "ALLOW"
    """The job is made."""


class CatchUp(StrEnum):
    """What becomes of due times that passed while nobody could make their jobs."""

    ALL = "ALL"
    """Their jobs are made late."""
    NEWEST = "NEWEST"
    """Only that of the newest one, unless one is due by now anyway."""
    NONE = "NONE"
    """They are passed over."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When jobs are to be made: by ``cron``, or once ``at`` an instant."""

    cron: str = ""
    at: Micros | None = None
    seconds: SecondsField = SecondsField.NONE
    time_zone: str = "UTC"
    start: Micros | None = None
    """No cron time before it counts."""
    end: Micros | None = None
    """No cron time after it counts."""
    overlap: Overlap = Overlap.SKIP
    catch_up: CatchUp = CatchUp.NEWEST
    catch_up_window: float | None = None
    """Seconds after which a due time is passed over, whatever ``catch_up`` says; ``None``: never."""
    jitter: float = 0.0
    """Jobs are made up to so many seconds after they are due, always before the next one is due."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What a schedule has still to do."""

    next_due: Micros | None
    """``None``: nothing by the clock. It may be a time that the schedule does not name; those it names follow."""
    remaining: int | None = None
    """Jobs it may still make; ``None``: without limit."""
    buffer: tuple[Micros, ...] = ()
    """Due times that wait for the end of a job, as the overlap policy has it."""
    backfill: tuple[Micros, ...] = ()
    """Due times of the past that a user asked for; they wait behind everything else."""

    @property
    def over(self) -> bool:
        """Whether it will make no job any more."""
        return self.next_due is None and not self.buffer and not self.backfill


@dataclass(frozen=True, slots=True)
class NewSchedule:
    """The schedule of a job as it is submitted."""

    schedule: Schedule
    progress: Progress
    paused: bool = False


# --- what a schedule may say ---------------------------------------------------------------------------------------


def check_schedule(schedule: Schedule, now: Micros, field: str = "schedule") -> None:
    """Refuse (INVALID_FIELD) a schedule that makes no sense, or never comes."""
    if bool(schedule.cron) == (schedule.at is not None):
        raise invalid(field, "has either a cron expression or one time")
    try:
        read_zone(schedule.time_zone)
    except ValueError as problem:
        raise invalid(f"{field}.time_zone", str(problem)) from None
    if schedule.at is not None:
        if schedule.start is not None or schedule.end is not None:
            raise invalid(field, "has one time and therefore neither start nor end")
        return
    try:
        read_cron(schedule.cron, schedule.seconds)
    except ValueError as problem:
        raise invalid(f"{field}.cron", str(problem)) from None
    if schedule.start is not None and schedule.end is not None and schedule.end < schedule.start:
        raise invalid(f"{field}.end_time", "is before the start")
    if first_due(schedule, now) is None:
        raise invalid(f"{field}.cron", "names no time that is still to come")


# --- due times -----------------------------------------------------------------------------------------------------


def next_due(schedule: Schedule, after: Micros) -> Micros | None:
    """The first time a schedule names strictly after an instant."""
    if schedule.at is not None:
        return schedule.at if schedule.at > after else None
    if schedule.start is not None:
        after = max(after, schedule.start - 1)
    due = next_match(schedule.cron, schedule.seconds, schedule.time_zone, after)
    return None if due is None or (schedule.end is not None and due > schedule.end) else due


def first_due(schedule: Schedule, now: Micros) -> Micros | None:
    """When a schedule that begins now is due first; one time in the past is due at once."""
    return schedule.at if schedule.at is not None else next_due(schedule, now)


def newest_due(schedule: Schedule, due: Micros, now: Micros) -> Micros:
    """The last due time up to now, of ``due`` and those named after it."""
    newest = due
    while (following := next_due(schedule, newest)) is not None and following <= now:
        newest, low, high = following, following, now
        while high - low > _SECOND:
            middle = (low + high) // 2
            found = next_due(schedule, middle)
            if found is not None and found <= now:
                newest = low = found
            else:
                high = middle
    return newest


def coming(schedule: Schedule, progress: Progress) -> Iterator[Micros]:
    """The due times to come, by the clock alone."""
    due, left = progress.next_due, progress.remaining
    while due is not None and (left is None or left > 0):
        yield due
        due = next_due(schedule, due)
        left = None if left is None else left - 1


def first_coming(schedule: Schedule, progress: Progress, most: int) -> list[Micros]:
    """At most so many of the due times to come."""
    return list(islice(coming(schedule, progress), most))


def between(schedule: Schedule, first: Micros, last: Micros) -> Iterator[Micros]:
    """The times a schedule names from one instant to another, both included."""
    due = next_due(schedule, first - 1)
    while due is not None and due <= last:
        yield due
        due = next_due(schedule, due)


def made_at(schedule: Schedule, due: Micros, key: str) -> Micros:
    """When the job of a due time is to be made: jitter spreads it, for one schedule and time always alike."""
    if not schedule.jitter:
        return due
    following = next_due(schedule, due)
    room = round(schedule.jitter * _SECOND)
    if following is not None:
        room = min(room, following - due)
    drawn = int.from_bytes(blake2b(f"{key} {due}".encode(), digest_size=8).digest(), "big")
    return due + room * drawn // 2**64


def wake_at(schedule: Schedule, progress: Progress, key: str) -> Micros | None:
    """When there is something to do by the clock; ``key`` is a name of the schedule."""
    if schedule.overlap is Overlap.ALLOW and (progress.buffer or progress.backfill):
        return 0
    return None if progress.next_due is None else made_at(schedule, progress.next_due, key)


def waits(schedule: Schedule, progress: Progress) -> bool:
    """Whether there is something to do as soon as no job of the schedule goes on."""
    return schedule.overlap is not Overlap.ALLOW and bool(progress.buffer or progress.backfill)


# --- changes by users ----------------------------------------------------------------------------------------------


def resumed(schedule: Schedule, progress: Progress, now: Micros) -> Progress:
    """The progress of a schedule that was paused: times that passed meanwhile were missed, be it a second ago."""
    due = progress.next_due
    if due is None or due > now or schedule.catch_up is CatchUp.ALL:
        return progress
    if schedule.catch_up is CatchUp.NONE:
        return replace(progress, next_due=next_due(schedule, now))
    return replace(progress, next_due=newest_due(schedule, due, now))


def retimed(before: Schedule, after: Schedule, progress: Progress, now: Micros) -> Progress:
    """The progress of a schedule that is changed: when its times change, it goes on with the next one from now."""
    if _times(before) == _times(after):
        return progress
    return replace(progress, next_due=first_due(after, now))


def _times(schedule: Schedule) -> tuple[object, ...]:
    return (
        *(schedule.cron, schedule.at, schedule.seconds),
        *(schedule.time_zone, schedule.start, schedule.end),
    )
