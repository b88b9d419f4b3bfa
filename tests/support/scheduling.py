"""Scheduled jobs in few words, for the tests of the store and the engine."""

from dataclasses import replace

from jobyard_server.domain.job import NewJob
from jobyard_server.domain.schedule import NewSchedule, Progress, Schedule, first_due, waits, wake_at
from jobyard_server.domain.state import Mode
from jobyard_server.usecases.ports import Fire

SECOND = 1_000_000
MINUTE = 60 * SECOND
START = 1_800_000_000 * SECOND
"""A whole hour: 2027-01-15T08:00:00Z."""

EVERY_MINUTE = Schedule(cron="* * * * *")


def minute(number):
    return START + number * MINUTE


def scheduled(schedule=EVERY_MINUTE, *, now=START, remaining=None, paused=False, **changes):
    """A job of a schedule that begins at ``now``."""
    progress = Progress(first_due(schedule, now), remaining)
    job = NewJob(
        "jobs", "acme", "ann", mode=Mode.SCHEDULED, subjobs=(), schedule=NewSchedule(schedule, progress, paused)
    )
    return replace(job, **changes)


def child(job, due_at, **changes):
    """The job of a due time."""
    new = NewJob(job.api, job.tenant, job.created_by, parent=job.number, due_at=due_at)
    return replace(new, **changes)


def command(due, *times, after, passed=(), **changes):
    """Make the jobs of some due times, and go on with ``after``."""
    schedule, job = due.kept.schedule, due.job
    made = tuple((time, changes.get("new") or child(job, time)) for time in times)
    wake, waiting = wake_at(schedule, after, job.uid), waits(schedule, after)
    return Fire(job.number, due.kept.revision, made, passed, after, wake, waiting)
