"""Tell when a schedule will be due."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from jobyard_server.domain.schedule import Progress, check_schedule, first_coming, first_due, resumed
from jobyard_server.usecases.finding import find_scheduled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobyard_server.domain.job import Micros
    from jobyard_server.domain.schedule import Schedule
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Reader, Store

USUAL: Final = 10


async def list_schedule_times(store: Store, call: Call, ref: str | int, *, count: int = 0) -> Sequence[Micros]:
    """The due times to come of a scheduled job; of a paused one those it would have if it were resumed now."""
    job = await find_scheduled(store.read, call, ref)
    kept = await store.read.schedule(job.number)
    if kept is None or job.terminal:
        return []
    progress = kept.progress
    if job.control.suspended:
        progress = resumed(kept.schedule, progress, await store.read.now())
    return await _coming(kept.schedule, progress, count)


async def preview_schedule(
    read: Reader, schedule: Schedule, *, remaining: int | None = None, count: int = 0
) -> Sequence[Micros]:
    """The due times that a schedule would have if it began now."""
    now = await read.now()
    check_schedule(schedule, now)
    return await _coming(schedule, Progress(first_due(schedule, now), remaining), count)


async def _coming(schedule: Schedule, progress: Progress, count: int) -> Sequence[Micros]:
    # Days that come every few decades take their time to be found.
    return await asyncio.to_thread(first_coming, schedule, progress, count or USUAL)
