"""Change the schedule of one job in place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from jobyard_server.domain.event import EventType
from jobyard_server.domain.reason import invalid
from jobyard_server.domain.schedule import check_schedule, retimed
from jobyard_server.usecases.finding import check_revision, kept_schedule, lock_scheduled

if TYPE_CHECKING:
    from jobyard_server.domain.job import Job, Micros
    from jobyard_server.domain.schedule import Schedule
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import KeptSchedule, Store, Tx


@dataclass(frozen=True, slots=True)
class ScheduleChange:
    """A schedule as it shall be."""

    schedule: Schedule
    remaining: int | None
    next_due: Micros | None = None
    """When it shall be due next, be it a time it does not name; ``None``: as before, or as its new times say."""


Change: TypeAlias = "Callable[[KeptSchedule, Micros], ScheduleChange]"
"""What a caller makes of a schedule, given it and the time; may raise ``Refused``."""


async def update_schedule(
    store: Store, call: Call, ref: str | int, change: Change, *, revision: int | None = None
) -> tuple[Job, KeptSchedule]:
    """Change a schedule that has not ended, also while it is paused. What waits, and what it made, stays."""

    def update(tx: Tx) -> tuple[Job, KeptSchedule]:
        job = lock_scheduled(tx, call, ref)
        check_revision(job, revision)
        kept = kept_schedule(tx, job)
        wanted = change(kept, tx.now)
        check_schedule(wanted.schedule, tx.now)
        if wanted.remaining is not None and wanted.remaining < 1:
            raise invalid("schedule.remaining", "is at least 1")
        progress = retimed(kept.schedule, wanted.schedule, kept.progress, tx.now)
        due = progress.next_due if wanted.next_due is None else wanted.next_due
        tx.put_schedule(job, wanted.schedule, replace(progress, next_due=due, remaining=wanted.remaining))
        job = tx.change_job(job, event=EventType.JOB_UPDATED, by=call.user, request_id=call.request_id)
        return tx.refold(job, by=call.user, request_id=call.request_id), kept_schedule(tx, job)

    return await store.run(update)
