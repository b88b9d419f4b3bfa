"""When jobs are due: what a create asks for, and what an update makes of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from jobyard_server.apis.qinling import refusals
from jobyard_server.apis.qinling.times import MINUTE, future_time
from jobyard_server.domain.cron import SecondsField, read_cron
from jobyard_server.domain.job import Micros
from jobyard_server.domain.schedule import CatchUp, Overlap, Progress, Schedule, next_due
from jobyard_server.usecases.drafts import ScheduleDraft
from jobyard_server.usecases.ports import KeptSchedule

_UNKNOWN: Final = re.compile(r"W\b|\dL\b", re.IGNORECASE)
"""What other dialects of cron know: the nearest working day, the last Friday."""

WORDS: Final = frozenset({"running", "paused", "cancelled"})
"""What a status may be set to."""


def planned(pattern: str | None, first: str | None, count: int | None, now: Micros) -> ScheduleDraft:
    """The schedule of a new job; its first time is ``next_due``."""
    if not (first or pattern):
        raise refusals.wrong("pattern", "pattern or first_execution_time must be specified.")
    # Without a pattern there is one time anyway, and clients say 0 for it.
    if count is not None and count < (1 if pattern else 0):
        raise refusals.wrong("count", "count must be at least 1.")
    at = future_time(first, "first_execution_time", now) if first else None
    if pattern:
        schedule = by_pattern(pattern)
        # A minute before it, so that a time which fits the pattern is the first one.
        due = _first(schedule, pattern, now if at is None else at - MINUTE)
        return ScheduleDraft(schedule, count, next_due=due)
    if count is not None and count > 1:
        raise refusals.wrong("count", "pattern must be provided if count is greater than 1.")
    return ScheduleDraft(Schedule(at=at, overlap=Overlap.ALLOW, catch_up=CatchUp.NEWEST), 1, next_due=at)


def by_pattern(pattern: str) -> Schedule:
    """The schedule of a cron pattern in UTC; executions may overlap, and of missed times the newest is made up for."""
    try:
        read_cron(pattern, SecondsField.LAST)
    except ValueError:
        raise _invalid(pattern) from None
    if _UNKNOWN.search(pattern):
        raise _invalid(pattern)
    return Schedule(cron=pattern, seconds=SecondsField.LAST, overlap=Overlap.ALLOW, catch_up=CatchUp.NEWEST)


def _first(schedule: Schedule, pattern: str, after: Micros) -> Micros:
    due = next_due(schedule, after)
    if due is None:
        raise _invalid(pattern)
    return due


def _invalid(pattern: str) -> refusals.Refused:
    return refusals.wrong("pattern", f"The specified pattern is not valid: {pattern}")


@dataclass(frozen=True, slots=True)
class Wish:
    """What an update asks of the schedule; ``None``, or no time, means as it is."""

    status: str | None = None
    pattern: str | None = None
    next_time: str = ""


@dataclass(frozen=True, slots=True)
class Replanned:
    """What becomes of it."""

    schedule: Schedule
    progress: Progress


def replanned(kept: KeptSchedule, wish: Wish, now: Micros, *, paused: bool) -> Replanned:
    """The schedule after an update; refused in the order in which clients expect it."""
    schedule, progress = kept.schedule, kept.progress
    if wish.pattern:
        if not schedule.cron:
            raise refusals.wrong("pattern", "Can not change job type.")
        schedule = by_pattern(wish.pattern)
        _first(schedule, wish.pattern, now)
    elif wish.pattern == "" and schedule.cron:
        raise refusals.wrong("pattern", "Can not change job type.")
    if wish.status is not None and wish.status not in WORDS:
        raise refusals.wrong("status", "Invalid status.")
    if wish.next_time:
        due = future_time(wish.next_time, "next_execution_time", now)
        return Replanned(schedule if schedule.cron else replace(schedule, at=due), replace(progress, next_due=due))
    if paused and wish.status == "running":
        progress = replace(progress, next_due=_resumed(schedule, progress, now))
    return Replanned(schedule, progress)


def _resumed(schedule: Schedule, progress: Progress, now: Micros) -> Micros:
    """When a job that was paused is due: what it missed is passed over."""
    if schedule.cron:
        return _first(schedule, schedule.cron, now)
    due = progress.next_due
    if due is None or due < now + MINUTE:
        raise refusals.wrong("status", "Execution time must be at least 1 minute in the future.")
    return due
