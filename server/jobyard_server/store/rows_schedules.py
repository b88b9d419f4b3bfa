"""Rows of schedules and fires to the domain and back."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import orjson

from jobyard_server.domain.cron import SecondsField
from jobyard_server.domain.firing import Fate
from jobyard_server.domain.schedule import CatchUp, Overlap, Progress, Schedule, waits, wake_at
from jobyard_server.store.rows import Row, given, kept
from jobyard_server.usecases.ports.schedules import FireRecord, KeptSchedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobyard_server.domain.job import Micros
    from jobyard_server.domain.reason import Refusal
    from jobyard_server.domain.schedule import NewSchedule

PROGRESS: Final = ("next_due", "remaining", "buffer", "backfill", "wake_at", "waits")
SCHEDULE_COLUMNS: Final = ("job", "spec", *PROGRESS[:4], "revision", "last_due", "fired_at")
FIRE_COLUMNS: Final = ("job", "due_at", "until", "fate", "child", "reason", "message", "fired_at")
NEW_SCHEDULE_COLUMNS: Final = ("job", "active", "spec", *PROGRESS, "revision", "last_due", "fired_at")


def schedule_text(schedule: Schedule) -> str:
    """A schedule as JSON."""
    said = [
        *(kept(schedule.cron), schedule.at, schedule.seconds.value, schedule.time_zone),
        *(schedule.start, schedule.end, schedule.overlap.value),
        *(schedule.catch_up.value, schedule.catch_up_window, schedule.jitter),
    ]
    return orjson.dumps(said).decode()


@lru_cache(maxsize=4096)
def _schedule(text: str) -> Schedule:
    cron, at, seconds, zone, start, end, overlap, catch_up, window, jitter = orjson.loads(text)
    return Schedule(
        given(cron), at, SecondsField(seconds), zone, start, end, Overlap(overlap), CatchUp(catch_up), window, jitter
    )


def progress_values(progress: Progress, wake: Micros | None, *, waiting: bool) -> Row:
    """The values of :data:`PROGRESS`."""
    return progress.next_due, progress.remaining, _times(progress.buffer), _times(progress.backfill), wake, waiting


def _times(times: tuple[Micros, ...]) -> str:
    return orjson.dumps(times).decode() if times else ""


def _read_times(text: str) -> tuple[Micros, ...]:
    return tuple(orjson.loads(text)) if text else ()


def standing(schedule: Schedule, progress: Progress, key: str) -> Row:
    """The values of ``spec`` and :data:`PROGRESS` of a schedule; ``key`` is the uid of its job."""
    wake = wake_at(schedule, progress, key)
    return schedule_text(schedule), *progress_values(progress, wake, waiting=waits(schedule, progress))


def new_schedule(new: NewSchedule, job: Row) -> Row:
    """The row of a schedule as it is submitted, in the order of :data:`NEW_SCHEDULE_COLUMNS`.

    ``job`` is the row of its job.
    """
    return job[0], not new.paused, *standing(new.schedule, new.progress, job[1]), 1, None, None


def kept_schedule(row: Sequence[Any]) -> KeptSchedule:
    """A schedule from a row of :data:`SCHEDULE_COLUMNS`."""
    progress = Progress(row[2], row[3], _read_times(row[4]), _read_times(row[5]))
    return KeptSchedule(row[0], _schedule(row[1]), progress, row[6], row[7], row[8])


def new_fire(job: int, due: Micros, now: Micros, *, child: int | None = None, refusal: Refusal | None = None) -> Row:
    """The row of a due time for which a job was made or refused, in the order of :data:`FIRE_COLUMNS`."""
    if refusal is None:
        return job, due, None, Fate.MADE.value, child, "", "", now
    return job, due, None, Fate.REFUSED.value, None, kept(refusal.reason.value), kept(refusal.message), now


def fire_record(row: Sequence[Any]) -> FireRecord:
    """What became of a due time, from a row of :data:`FIRE_COLUMNS`."""
    return FireRecord(row[1], row[2], Fate(row[3]), row[4], given(row[5]), given(row[6]), row[7])
