"""Make up for the due times of a range of the past."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from jobyard_server.domain.event import EventType
from jobyard_server.domain.reason import invalid
from jobyard_server.domain.schedule import MAX_WAITING, between
from jobyard_server.usecases.finding import kept_schedule, lock_scheduled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobyard_server.domain.job import Micros
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import KeptSchedule, Store, Tx


async def backfill_schedule(store: Store, call: Call, ref: str | int, first: Micros, last: Micros) -> Sequence[Micros]:
    """Have the jobs made of the times a schedule names from ``first`` to ``last``, except those that were made.

    They wait behind the due times of the clock; asked for again they wait once.
    """

    def backfill(tx: Tx) -> Sequence[Micros]:
        job = lock_scheduled(tx, call, ref)
        kept = kept_schedule(tx, job)
        if last < first:
            raise invalid("end_time", "is before the start")
        if last > tx.now:
            raise invalid("end_time", "is still to come")
        times = _missing(kept, first, last, set(tx.made_fires(job.number, first, last)))
        if not times:
            return times
        waiting = (*kept.progress.backfill, *times)
        if len(waiting) > MAX_WAITING:
            raise invalid("end_time", f"leaves more than {MAX_WAITING} times to be made up for; take a shorter range")
        tx.put_schedule(job, kept.schedule, replace(kept.progress, backfill=tuple(sorted(waiting))))
        tx.change_job(job, event=EventType.JOB_UPDATED, by=call.user, request_id=call.request_id)
        return times

    return await store.run(backfill)


def _missing(kept: KeptSchedule, first: Micros, last: Micros, made: set[Micros]) -> list[Micros]:
    """One more than may wait is enough to know that they are too many."""
    progress = kept.progress
    expected = made | {*progress.buffer, *progress.backfill}
    # What the clock has not come to yet it will deal with by itself.
    until = last if progress.next_due is None else min(last, progress.next_due - 1)
    named = islice(between(kept.schedule, first, until), MAX_WAITING + len(expected) + 1)
    return [due for due in named if due not in expected]
