"""What is to be done about schedules that are due, worked out outside transactions: plans and the jobs they ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from jobyard_server.domain.event import ENGINE
from jobyard_server.domain.firing import STEP, Clear, Plan, plan
from jobyard_server.domain.job import Micros, NewJob
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.reason import Reason, Refusal, Refused
from jobyard_server.domain.schedule import Progress, Schedule, waits, wake_at
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.cancel_job import cancel_job
from jobyard_server.usecases.ports import DueSchedule, DueTime, Fire, MakeJobs, Store
from jobyard_server.usecases.terminate_job import terminate_job

PUT_OFF: Final = 3_600_000_000
"""A schedule that cannot be read is looked at again after so long (microseconds)."""

ASKED: Final = 25
"""Due times an API is asked for before others get their turn in the event loop."""

MOST_BYTES: Final = 8 * 1024 * 1024
"""Payloads of jobs to be made that are held at once."""

MOST_WRITTEN: Final = 4 * 1024 * 1024
"""Payloads written in one transaction, unless one job alone has more."""

OVERLAPPED: Final = "OVERLAPPED"

_log = structlog.get_logger("jobyard.engine")


@dataclass(slots=True)
class _Intent:
    """A schedule, what is to be done about it, and the jobs that were made for that."""

    due: DueSchedule
    plan: Plan
    made: list[NewJob | Refusal] = field(default_factory=list)


class Planner:
    """Turns schedules that are due into commands for the store."""

    def __init__(self, store: Store, makers: Mapping[str, MakeJobs]) -> None:
        self._store = store
        self._makers = makers

    async def commands(self, part: Sequence[DueSchedule], now: Micros) -> list[Fire]:
        """What is to be done; schedules for which there was no room are left out, and are due again."""
        intents: list[_Intent] = []
        commands: list[Fire] = []
        plans = _Plans(now)
        for due in part:
            try:
                intents.append(_Intent(due, plans.of(due)))
            except Exception as problem:  # noqa: BLE001 - one bad schedule keeps no other from its time
                commands.append(_put_off(due, now, problem))
        for intent in intents:
            if intent.plan.clear is not Clear.NOTHING:
                await self._clear(intent)
        await self._make(intents)
        return commands + [_command(intent) for intent in intents if _fits(intent, now)]

    async def _make(self, intents: Sequence[_Intent]) -> None:
        """Have the jobs of all due times made, as many as there is room for; each API is asked for its own."""
        wanted: dict[str, list[tuple[_Intent, DueTime]]] = {}
        for intent in intents:
            job = intent.due.job
            wanted.setdefault(job.api, []).extend((intent, DueTime(job, due)) for due in intent.plan.fires)
        room = MOST_BYTES
        for api, pairs in wanted.items():
            for start in range(0, len(pairs), ASKED):
                some = pairs[start : start + ASKED]
                answers = await self._ask(api, [time for _, time in some])
                for (intent, time), new in zip(some, answers, strict=True):
                    intent.made.append(_linked(time, new))
                    room -= weight_of(new)
                if room < 0:
                    return
                await asyncio.sleep(0)

    async def _ask(self, api: str, times: Sequence[DueTime]) -> Sequence[NewJob | Refusal]:
        maker = self._makers.get(api)
        if maker is None:
            refusal = Refusal(Reason.INTERNAL, f"The API {api!r} makes no jobs by schedules.")
            return [refusal] * len(times)
        try:
            return await maker(self._store.read, times)
        except Exception as problem:
            if no_store(problem):
                raise
            if len(times) == 1:
                return [_why_not(times[0], problem)]
            return [answer for time in times for answer in await self._ask(api, [time])]

    async def _clear(self, intent: _Intent) -> None:
        """Have the jobs made before end, as the overlap policy says.

        This comes before the schedule moves on: after a crash in between it is simply due again.
        """
        job = intent.due.job
        call = Call(Principal(ENGINE, job.tenant, permissions=frozenset({"*"})), job.api, every_api=True)
        end = cancel_job if intent.plan.clear is Clear.CANCEL else terminate_job
        for child in await self._store.read.live_children(job.number):
            try:
                await end(self._store, call, child, reason=OVERLAPPED, message="the next job of its schedule is due")
            except Refused as refused:
                if refused.refusal.reason is not Reason.JOB_NOT_FOUND:
                    raise


class _Plans:
    """The plans of one moment. Schedules that are due together often say the same, and have come as far."""

    def __init__(self, now: Micros) -> None:
        self._now = now
        self._known: dict[tuple[Schedule, Progress, bool], Plan] = {}

    def of(self, due: DueSchedule) -> Plan:
        """What is to be done about a schedule."""
        if due.kept.schedule.jitter:
            # By which it differs from all others.
            return _plan(due, self._now)
        alike = due.kept.schedule, due.kept.progress, due.live
        if (known := self._known.get(alike)) is None:
            known = self._known[alike] = _plan(due, self._now)
        return known


def no_store(problem: Exception) -> bool:
    """Whether everything fails, not the one schedule."""
    return isinstance(problem, Refused) and problem.refusal.reason in (Reason.STORE_UNAVAILABLE, Reason.OVERLOADED)


def weight_of(new: NewJob | Refusal) -> int:
    """About how many bytes a job to be made takes."""
    if isinstance(new, Refusal):
        return 0
    return len(new.spec) + sum(len(piece.payload) for piece in new.subjobs)


def refused(command: Fire) -> Fire:
    """The same without the jobs, which the database does not take."""
    refusal = Refusal(Reason.INTERNAL, "The job could not be stored.")
    return replace(command, made=tuple((due, refusal) for due, _ in command.made))


def _plan(due: DueSchedule, now: Micros, limit: int = STEP) -> Plan:
    kept = due.kept
    return plan(kept.schedule, kept.progress, now, live=due.live, key=due.job.uid, limit=limit)


def _fits(intent: _Intent, now: Micros) -> bool:
    """Cut a plan down to the jobs there was room for; whether anything is left of it."""
    room = MOST_WRITTEN
    for index, new in enumerate(intent.made):
        room -= weight_of(new)
        if room < 0 and index:
            del intent.made[index:]
            break
    if len(intent.made) < len(intent.plan.fires):
        if not intent.made:
            return False
        intent.plan = _plan(intent.due, now, len(intent.made))
    return True


def _command(intent: _Intent) -> Fire:
    kept, after = intent.due.kept, intent.plan.after
    return Fire(
        job=kept.job,
        revision=kept.revision,
        made=tuple(zip(intent.plan.fires, intent.made, strict=True)),
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
