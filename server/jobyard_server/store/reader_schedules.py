"""Reads of schedules: what is due, what was made, and what still goes on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final, TypeVar

from jobyard_server.store import rows
from jobyard_server.store.rows_schedules import (
    FIRE_COLUMNS,
    SCHEDULE_COLUMNS,
    fire_record,
    kept_schedule,
)
from jobyard_server.usecases.ports.schedules import DueSchedule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jobyard_server.domain.job import Micros
    from jobyard_server.store.clock import Clock
    from jobyard_server.store.sets import Sets
    from jobyard_server.usecases.ports.schedules import FireRecord, KeptSchedule

T = TypeVar("T")

MOST_BYTES: Final = 8 * 1024 * 1024
"""Specs of scheduled jobs read at once."""

_COLUMNS: Final = ", ".join(f"s.{name}" for name in SCHEDULE_COLUMNS)
_JOB: Final = ", ".join(f"j.{name}" for name in rows.JOB_COLUMNS)
_GOES_ON: Final = "EXISTS (SELECT 1 FROM standings WHERE live_parent = s.job)"
_SCHEDULE: Final = f"SELECT {_COLUMNS} FROM schedules AS s WHERE s.job = ?"
_SCHEDULES: Final = f"SELECT {_COLUMNS} FROM given CROSS JOIN schedules AS s WHERE s.job = given.job"
_DUE: Final = (
    f"SELECT {_COLUMNS}, {_GOES_ON}, {_JOB} FROM schedules AS s CROSS JOIN jobs AS j "
    "WHERE s.active AND s.wake_at <= ? AND j.number = s.job ORDER BY s.wake_at LIMIT ?"
)
_FREE: Final = (
    f"SELECT {_COLUMNS}, 0, {_JOB} FROM schedules AS s CROSS JOIN jobs AS j "
    f"WHERE s.active AND s.waits AND NOT {_GOES_ON} AND j.number = s.job ORDER BY s.job LIMIT ?"
)
_ANY: Final = (
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM schedules WHERE active AND wake_at <= ?) "
    "OR EXISTS (SELECT 1 FROM schedules WHERE active AND waits)"
)
_FIRES: Final = f"SELECT {', '.join(FIRE_COLUMNS)} FROM fires WHERE job = ? AND due_at < ? ORDER BY due_at DESC LIMIT ?"
_LIVE: Final = "SELECT number FROM standings WHERE live_parent = ? ORDER BY number"
_END: Final = 2**63 - 1
_WIDTH: Final = len(SCHEDULE_COLUMNS)
_SPEC: Final = _WIDTH + 1 + rows.JOB_COLUMNS.index("spec")


class ScheduleReads(ABC):
    """The part of a reader that reads schedules."""

    clock: Clock

    @abstractmethod
    async def one(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """The only row of a query."""

    @abstractmethod
    async def many(self, sql: str, parameters: Sequence[Any], map_: Callable[[tuple[Any, ...]], T]) -> list[T]:
        """The rows of a query, mapped."""

    @abstractmethod
    async def in_thread(self, read: Callable[[Sets], T]) -> T:
        """Several statements over the same rows, in a thread."""

    async def now(self) -> Micros:
        """The time as transactions see it."""
        return self.clock.wall()

    async def schedule(self, job: int) -> KeptSchedule | None:
        """The schedule of a job."""
        row = await self.one(_SCHEDULE, (job,))
        return None if row is None else kept_schedule(row)

    async def schedules(self, jobs: Sequence[int]) -> Mapping[int, KeptSchedule]:
        """The schedules of those of some jobs that have one, by job."""
        if not jobs:
            return {}
        found = await self.in_thread(lambda sets: sets.among(("job",), [(job,) for job in jobs], _SCHEDULES))
        return {row[0]: kept_schedule(row) for row in found}

    async def fires(self, job: int, *, before: Micros | None, limit: int) -> Sequence[FireRecord]:
        """What became of the due times of a schedule, the newest first; those before an instant."""
        return await self.many(_FIRES, (job, _END if before is None else before, limit), fire_record)

    async def live_children(self, job: int) -> Sequence[int]:
        """Numbers of the jobs that a schedule made and that have not ended."""
        return await self.many(_LIVE, (job,), lambda row: int(row[0]))

    async def due_schedules(
        self, limit: int, taken: frozenset[int] = frozenset()
    ) -> tuple[Micros, Sequence[DueSchedule]]:
        """The time, and schedules that have something to do, those that are due longest first, but for those taken."""
        now = await self.now()
        if await self.one(_ANY, (now,)) is None:
            # Nothing to do is the rule, and then not worth the way to a thread.
            return now, []

        def read(sets: Sets) -> list[DueSchedule]:
            found = _some(sets, _DUE, (now, limit + len(taken)), taken)
            if len(found) < limit:
                seen = taken.union(row[0] for row in found)
                found += _some(sets, _FREE, (limit - len(found) + len(seen),), seen)
            return [_due(row) for row in found[:limit]]

        return now, await self.in_thread(read)


def _some(sets: Sets, sql: str, parameters: tuple[int, ...], taken: frozenset[int]) -> list[tuple[Any, ...]]:
    """The rows of a query but for those taken, or the first ones of them when their specs are long."""
    found: list[tuple[Any, ...]] = []
    room = MOST_BYTES
    with closing(sets.each(sql, parameters)) as rows_:
        for row in rows_:
            if row[0] in taken:
                continue
            found.append(row)
            room -= len(row[_SPEC])
            if room < 0:
                break
    return found


def _due(row: tuple[Any, ...]) -> DueSchedule:
    return DueSchedule(rows.job(row[_WIDTH + 1 :]), kept_schedule(row), bool(row[_WIDTH]))
