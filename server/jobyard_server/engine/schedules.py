"""Keeps schedules going: finds those that are due, has their APIs make the jobs, and moves them on.

Any number of processes may do so over one database. What is to be done is worked out outside transactions; the
transaction that does it moves a schedule on only if nobody has touched it since, so each due time is dealt with once.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, TypeAlias

import structlog

from jobyard_server.domain.job import Micros
from jobyard_server.engine.schedule_plans import MOST_WRITTEN, Planner, no_store, refused, weight_of
from jobyard_server.engine.supervisor import Loop
from jobyard_server.usecases.ports import DueSchedule, Fire, MakeJobs, Store

WINDOW: Final = 1_000
"""Schedules read at once."""

WINDOWS: Final = 5
"""Windows of one step, which is to be over soon enough to show that its loop is alive."""

LARGEST: Final = 500
SMALLEST: Final = 64
"""Schedules fired in one transaction, whatever it takes."""

BUDGET: Final = 0.02
"""Seconds that one transaction may keep everybody else from writing."""

SLICE: Final = 25
"""Schedules thought about before others get their turn in the event loop."""

_Firing: TypeAlias = Callable[[Sequence[Fire]], Coroutine[Any, Any, int]]

_Window: TypeAlias = tuple[Micros, Sequence[DueSchedule]]

_log = structlog.get_logger("jobyard.engine")


class Scheduler:
    """The schedules of one database, as one process looks after them."""

    def __init__(self, store: Store, makers: Mapping[str, MakeJobs]) -> None:
        self._store = store
        self._planner = Planner(store, makers)
        self._size = SMALLEST
        self._crowded = False
        self._forgotten = 0
        self.lag = 0.0
        """Seconds by which the schedule that is due longest was late at the last look."""
        self.made = 0
        """Jobs made."""

    async def step(self) -> int:
        """Take schedules that are due on; how many were. When there are more, it returns before it has seen them."""
        round_ = _Round(self._fire)
        ahead: asyncio.Task[_Window] | None = None
        try:
            for left in reversed(range(WINDOWS)):
                now, due = await (ahead or self._read(frozenset(round_.pending)))
                more = len(due) >= WINDOW
                taken = frozenset(round_.pending.union(one.kept.job for one in due))
                # Read while these are thought about and written; where somebody else is at work, it would soon be old.
                ahead = asyncio.create_task(self._read(taken)) if more and left and not self._crowded else None
                await self._look(round_, now, due)
                if not more or (self._crowded and round_.lost):
                    break
            return await round_.end()
        finally:
            if ahead is not None:
                ahead.cancel()
            round_.drop()

    async def _read(self, taken: frozenset[int]) -> _Window:
        return await self._store.due_schedules(WINDOW, taken)

    async def _look(self, round_: _Round, now: Micros, due: Sequence[DueSchedule]) -> None:
        """Think about a window of schedules, while what was thought of before is written."""
        self.lag = max((_late(one, now) for one in due), default=0.0)
        if self._crowded:
            # Somebody else works through the same ones: another order makes it rare that both take the same.
            due = random.sample(due, len(due))
        for start in range(0, len(due), SLICE):
            for command in await self._planner.commands(due[start : start + SLICE], now):
                await round_.add(command, self._size)
            if self._crowded and round_.lost:
                # Somebody else is ahead: what was read is old.
                break

    async def forget(self, keep_seconds: float) -> int:
        """Forget what became of due times so long ago, a step of it; how much."""
        forgotten, self._forgotten = await self._store.forget_fires(keep_seconds, self._forgotten)
        return forgotten

    async def _fire(self, commands: Sequence[Fire]) -> int:
        """Carry commands out; how many were."""
        try:
            fired = await self._store.fire(commands)
        except Exception as problem:
            if no_store(problem):
                raise
            if len(commands) > 1:
                middle = len(commands) // 2
                return await self._fire(commands[:middle]) + await self._fire(commands[middle:])
            _log.exception("schedule not fired", job=commands[0].job, exc_info=problem)
            return await self._fire([refused(commands[0])])
        won = sum(fired.won)
        self._crowded = won * 2 < len(commands)
        self.made += fired.jobs
        fitting = int(BUDGET / max(fired.seconds, 1e-6) * len(commands))
        self._size = max(SMALLEST, min(LARGEST, (self._size + fitting) // 2))
        return won


class _Round:
    """The sets of one look: one is gathered while the one before is written."""

    def __init__(self, fire: _Firing) -> None:
        self._fire = fire
        self._set: list[Fire] = []
        self._leaving: Sequence[Fire] = ()
        self._bytes = 0
        self._writing: asyncio.Task[int] | None = None
        self._won = 0
        self._written = 0
        self.pending: set[int] = set()
        """Jobs whose schedules are being taken on."""

    @property
    def lost(self) -> bool:
        """Whether sets were written and nothing came of them."""
        return self._written > 0 and not self._won

    async def add(self, command: Fire, size: int) -> None:
        """Gather a command; write when there are enough."""
        weight = sum(weight_of(new) for _, new in command.made)
        if self._set and self._bytes + weight > MOST_WRITTEN:
            await self._write()
        self._set.append(command)
        self.pending.add(command.job)
        self._bytes += weight
        if len(self._set) >= size:
            await self._write()

    async def _write(self) -> None:
        await self._written_so_far()
        commands, self._set, self._bytes = self._set, [], 0
        self._leaving = commands
        self._writing = asyncio.create_task(self._fire(commands))

    async def _written_so_far(self) -> None:
        if self._writing is not None:
            self._won += await self._writing
            self._written += 1
            self._writing = None
            self.pending.difference_update(command.job for command in self._leaving)

    async def end(self) -> int:
        """Write what is left; how many schedules were moved on in all."""
        if self._set:
            await self._write()
        await self._written_so_far()
        return self._won

    def drop(self) -> None:
        """Wait for nothing more."""
        if self._writing is not None:
            self._writing.cancel()


def schedule_loops(scheduler: Scheduler, check: float, retention: float, keep: float) -> list[Loop]:
    """The loops of schedules: seconds between two looks, between two removals, and how long fires are remembered."""
    return [
        Loop("schedules", check, scheduler.step),
        Loop("fires", retention, lambda: scheduler.forget(keep)),
    ]


def _late(due: DueSchedule, now: Micros) -> float:
    next_due = due.kept.progress.next_due
    return 0.0 if next_due is None or next_due > now else (now - next_due) / 1_000_000
