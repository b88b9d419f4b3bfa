"""Keeps schedules going: finds those that are due, has their APIs make the jobs, and moves them on.

Any number of processes may do so over one database. What is to be done is worked out outside transactions; the
transaction that does it moves a schedule on only if nobody has touched it since, so each due time is dealt with once.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from jobyard_server.domain.firing import Clear, Plan, plan
from jobyard_server.domain.job import Micros, NewJob
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.reason import Reason, Refusal, Refused
from jobyard_server.domain.schedule import waits, wake_at
from jobyard_server.engine.supervisor import Loop
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.cancel_job import cancel_job
from jobyard_server.usecases.ports import DueSchedule, DueTime, Fire, MakeJobs, Store
from jobyard_server.usecases.terminate_job import terminate_job

WINDOW: Final = 1_000
"""Schedules read at once."""

LARGEST: Final = 500
SMALLEST: Final = 64
"""Schedules fired in one transaction, whatever it takes."""

BUDGET: Final = 0.015
"""Seconds that one transaction may keep everybody else from writing."""

SLICE: Final = 25
"""Schedules thought about before others get their turn in the event loop."""

PUT_OFF: Final = 3_600_000_000
"""A schedule that cannot be read is looked at again after so long (microseconds)."""

ENGINE: Final = "jobyard"
OVERLAPPED: Final = "OVERLAPPED"

_log = structlog.get_logger("jobyard.engine")


@dataclass(frozen=True, slots=True)
class _Intent:
    """A schedule, and what is to be done about it."""

    due: DueSchedule
    plan: Plan


class Scheduler:
    """The schedules of one database, as one process looks after them."""

    def __init__(self, store: Store, makers: Mapping[str, MakeJobs]) -> None:
        self._store = store
        self._makers = makers
        self._size = SMALLEST
        self._crowded = False
        self._forgotten = 0
        self.lag = 0.0
        """Seconds by which the schedule that is due longest was late at the last look."""
        self.made = 0
        """Jobs made."""

    async def step(self) -> int:
        """Take the schedules that are due on; how many were."""
        now, found = await self._store.due_schedules(WINDOW)
        self.lag = max((_late(one, now) for one in found), default=0.0)
        due = list(found)
        if self._crowded:
            # Somebody else works through the same ones: another order makes it rare that both take the same.
            random.shuffle(due)
        return await self._work_through(due, now)

    async def _work_through(self, due: list[DueSchedule], now: Micros) -> int:
        """Set by set; one is thought about while the one before is written."""
        won = 0
        writing: asyncio.Task[int] | None = None
        try:
            while due:
                part, due = due[: self._size], due[self._size :]
                commands = await self._commands(part, now)
                if writing is not None:
                    won += await writing
                    if self._crowded and not won:
                        # Somebody else is ahead: what was read is old.
                        return won
                writing = asyncio.create_task(self._fire(commands))
            return won + (await writing if writing is not None else 0)
        finally:
            if writing is not None:
                writing.cancel()

    async def forget(self, keep_seconds: float) -> int:
        """Forget what became of due times so long ago, a step of it; how much."""
        forgotten, self._forgotten = await self._store.forget_fires(keep_seconds, self._forgotten)
        return forgotten

    # --- what is to be done ----------------------------------------------------------------------------------------

    async def _commands(self, part: Sequence[DueSchedule], now: Micros) -> list[Fire]:
        intents: list[_Intent] = []
        commands: list[Fire] = []
        for index, due in enumerate(part):
            if index % SLICE == SLICE - 1:
                await asyncio.sleep(0)
            try:
                intents.append(_Intent(due, _plan(due, now)))
            except Exception as problem:  # noqa: BLE001 - one bad schedule keeps no other from its time
                commands.append(_put_off(due, now, problem))
        for intent in intents:
            await self._clear(intent)
        made = await self._make(intents)
        return commands + [_command(intent, made.get(intent.due.job.number, ())) for intent in intents]

    async def _make(self, intents: Sequence[_Intent]) -> dict[int, list[NewJob | Refusal]]:
        """The jobs of all due times, by their schedules; each API is asked once for all of its own."""
        wanted: dict[str, list[DueTime]] = {}
        for intent in intents:
            job = intent.due.job
            wanted.setdefault(job.api, []).extend(DueTime(job, due) for due in intent.plan.fires)
        made: dict[int, list[NewJob | Refusal]] = {}
        for api, times in wanted.items():
            for time, new in zip(times, await self._ask(api, times), strict=True):
                made.setdefault(time.job.number, []).append(_linked(time, new))
        return made

    async def _ask(self, api: str, times: Sequence[DueTime]) -> Sequence[NewJob | Refusal]:
        maker = self._makers.get(api)
        if maker is None:
            refusal = Refusal(Reason.INTERNAL, f"The API {api!r} makes no jobs by schedules.")
            return [refusal] * len(times)
        try:
            return await maker(self._store.read, times)
        except Exception as problem:
            if _no_store(problem):
                raise
            if len(times) == 1:
                return [_why_not(times[0], problem)]
            return [answer for time in times for answer in await self._ask(api, [time])]

    async def _clear(self, intent: _Intent) -> None:
        """Have the jobs made before end, as the overlap policy says.

        This comes before the schedule moves on: after a crash in between it is simply due again.
        """
        if intent.plan.clear is Clear.NOTHING:
            return
        job = intent.due.job
        call = Call(Principal(ENGINE, job.tenant, permissions=frozenset({"*"})), job.api, every_api=True)
        end = cancel_job if intent.plan.clear is Clear.CANCEL else terminate_job
        for child in await self._store.read.live_children(job.number):
            try:
                await end(self._store, call, child, reason=OVERLAPPED, message="the next job of its schedule is due")
            except Refused as refused:
                if refused.refusal.reason is not Reason.JOB_NOT_FOUND:
                    raise

    # --- doing it --------------------------------------------------------------------------------------------------

    async def _fire(self, commands: Sequence[Fire]) -> int:
        """Carry commands out; how many were."""
        try:
            fired = await self._store.fire(commands)
        except Exception as problem:
            if _no_store(problem):
                raise
            if len(commands) > 1:
                middle = len(commands) // 2
                return await self._fire(commands[:middle]) + await self._fire(commands[middle:])
            _log.exception("schedule not fired", job=commands[0].job, exc_info=problem)
            return await self._fire([_refused(commands[0])])
        won = sum(fired.won)
        self._crowded = won * 2 < len(commands)
        self.made += fired.jobs
        fitting = int(BUDGET / max(fired.seconds, 1e-6) * len(commands))
        self._size = max(SMALLEST, min(LARGEST, (self._size + fitting) // 2))
        return won


def schedule_loops(scheduler: Scheduler, check: float, retention: float, keep: float) -> list[Loop]:
    """The loops of schedules: seconds between two looks, between two removals, and how long fires are remembered."""
    return [
        Loop("schedules", check, scheduler.step),
        Loop("fires", retention, lambda: scheduler.forget(keep)),
    ]


def _no_store(problem: Exception) -> bool:
    """Whether everything fails, not the one schedule."""
    return isinstance(problem, Refused) and problem.refusal.reason in (Reason.STORE_UNAVAILABLE, Reason.OVERLOADED)


def _linked(time: DueTime, new: NewJob | Refusal) -> NewJob | Refusal:
    """The job with who makes it, and for when."""
    if isinstance(new, Refusal) or (new.parent, new.due_at) == (time.job.number, time.due_at):
        return new
    return replace(new, parent=time.job.number, due_at=time.due_at)


def _why_not(time: DueTime, problem: Exception) -> Refusal:
    if isinstance(problem, Refused):
        return problem.refusal
    _log.error("job of a schedule not made", job=time.job.number, exc_info=problem)
    return Refusal(Reason.INTERNAL, "The job could not be made.")


def _plan(due: DueSchedule, now: Micros) -> Plan:
    kept = due.kept
    return plan(kept.schedule, kept.progress, now, live=due.live, key=due.job.uid)


def _command(intent: _Intent, made: Sequence[NewJob | Refusal]) -> Fire:
    kept, after = intent.due.kept, intent.plan.after
    return Fire(
        job=kept.job,
        revision=kept.revision,
        made=tuple(zip(intent.plan.fires, made, strict=True)),
        passed=intent.plan.passed,
        after=after,
        wake_at=wake_at(kept.schedule, after, intent.due.job.uid),
        waits=waits(kept.schedule, after),
    )


def _put_off(due: DueSchedule, now: Micros, problem: Exception) -> Fire:
    """Look again later, and say why."""
    _log.error("schedule not understood", job=due.job.number, exc_info=problem)
    refusal = Refusal(Reason.INTERNAL, f"The schedule cannot be followed: {problem}")
    progress = due.kept.progress
    at = now if progress.next_due is None else progress.next_due
    return Fire(due.kept.job, due.kept.revision, ((at, refusal),), (), progress, now + PUT_OFF, waits=False)


def _refused(command: Fire) -> Fire:
    """The same without the jobs, which the database does not take."""
    refusal = Refusal(Reason.INTERNAL, "The job could not be stored.")
    return replace(command, made=tuple((due, refusal) for due, _ in command.made))


def _late(due: DueSchedule, now: Micros) -> float:
    next_due = due.kept.progress.next_due
    return 0.0 if next_due is None or next_due > now else (now - next_due) / 1_000_000
