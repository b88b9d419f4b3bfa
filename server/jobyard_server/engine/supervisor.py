"""Keeps loops running: starts them, restarts those that fail, knows how each is doing, and stops them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final

import structlog

Step = Callable[[], Awaitable[int]]
"""Does a bounded piece of work and says how much it was; 0 when nothing was left."""

FIRST_BACKOFF: Final = 0.5
LONGEST_BACKOFF: Final = 30.0
LATE: Final = 5.0
"""A loop is late when its period is over by this many seconds."""

_log = structlog.get_logger("jobyard.engine")


@dataclass(frozen=True, slots=True)
class Loop:
    """Something to be done again and again."""

    name: str
    period: float
    """Seconds from one look to the next, when the last one found nothing to do."""
    step: Step


@dataclass(slots=True)
class Progress:
    """How a loop is doing."""

    failures: int = 0
    """In a row."""
    problem: str = ""
    """What the newest failure was; empty when the newest step went well."""
    due: float = 0.0
    """When the next step should begin, by ``time.monotonic()``."""
    done: int = 0
    """How much was done in all."""

    def lag(self) -> float:
        """Seconds by which the next step is late."""
        return max(0.0, monotonic() - self.due)


class Supervisor:
    """The loops of one process."""

    def __init__(self, loops: Sequence[Loop]) -> None:
        self._loops = tuple(loops)
        self._tasks: list[asyncio.Task[None]] = []
        self.progress = {loop.name: Progress() for loop in loops}

    def start(self) -> None:
        """Begin."""
        for loop in self._loops:
            self.progress[loop.name].due = monotonic()
            self._tasks.append(asyncio.create_task(self._run(loop), name=f"engine-{loop.name}"))

    async def stop(self) -> None:
        """End. A step in progress may be cut short: each is one transaction, done or not done."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def troubled(self) -> dict[str, str]:
        """The loops that fail or come late, and why."""
        return {
            name: progress.problem or f"late by {progress.lag():.1f} s"
            for name, progress in self.progress.items()
            if progress.problem or progress.lag() > LATE
        }

    async def _run(self, loop: Loop) -> None:
        progress = self.progress[loop.name]
        while True:
            pause = await self._once(loop, progress)
            progress.due = monotonic() + pause
            await asyncio.sleep(pause)

    async def _once(self, loop: Loop, progress: Progress) -> float:
        """Do one step; returns after how many seconds the next one follows."""
        try:
            done = await loop.step()
        except asyncio.CancelledError as problem:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Not the loop was cancelled but something it waited for.
            return _failed(loop, progress, problem)
        except Exception as problem:  # noqa: BLE001 - whatever it was, the loop has to go on
            return _failed(loop, progress, problem)
        if progress.failures:
            _log.info("loop recovered", loop=loop.name, failures=progress.failures)
        progress.failures = 0
        progress.problem = ""
        progress.done += done
        return 0.0 if done else loop.period


def _failed(loop: Loop, progress: Progress, problem: BaseException) -> float:
    """Note a failure; returns how long to wait. The same problem again is told without its traceback."""
    words = f"{type(problem).__name__}: {problem}"
    trace = problem if words != progress.problem else None
    progress.failures += 1
    progress.problem = words
    # The exponent is bounded too: a loop may fail for days.
    pause = min(FIRST_BACKOFF * 2.0 ** min(progress.failures - 1, 16), LONGEST_BACKOFF)
    _log.warning(
        "loop failed", loop=loop.name, problem=words, failures=progress.failures, again_in=pause, exc_info=trace
    )
    return pause
