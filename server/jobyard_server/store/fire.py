"""The hot verb Fire: take schedules on, and make the jobs that are due, each once."""

from __future__ import annotations

from time import thread_time
from typing import TYPE_CHECKING, Any, Final

from jobyard_server.domain.event import EventType
from jobyard_server.domain.reason import Refusal
from jobyard_server.store.ledger import Ledger
from jobyard_server.store.rows import kept
from jobyard_server.store.rows_schedules import FIRE_COLUMNS, PROGRESS, new_fire, progress_values
from jobyard_server.store.submit import submit_numbers
from jobyard_server.usecases.ports.schedules import Fired

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobyard_server.domain.job import Micros
    from jobyard_server.store.unit import Unit
    from jobyard_server.usecases.ports.schedules import Fire

STEP: Final = 500

_GIVEN: Final = ("job", "seen", *PROGRESS, "last_due")
_ADVANCE: Final = (
    f"UPDATE schedules SET {', '.join(f'{name} = given.{name}' for name in PROGRESS)}, "
    "last_due = coalesce(given.last_due, schedules.last_due), fired_at = {now}, revision = schedules.revision + 1 "
    "FROM given WHERE schedules.job = given.job AND schedules.revision = given.seen AND schedules.active "
    "RETURNING schedules.job"
)
_MADE: Final = (
    "SELECT f.job, f.due_at FROM given CROSS JOIN fires AS f "
    "WHERE f.job = given.job AND f.due_at = given.due_at AND f.fate = 'MADE'"
)
_AGAIN: Final = (
    "ON CONFLICT (job, due_at) DO UPDATE SET until = excluded.until, fate = excluded.fate, child = excluded.child, "
    "reason = excluded.reason, message = excluded.message, fired_at = excluded.fired_at WHERE fires.fate <> 'MADE'"
)
"""A due time may be made up for later, but what was made is never made again."""


_SCHEDULES: Final = "SELECT job FROM schedules WHERE job > ? ORDER BY job LIMIT ?"
_FORGET: Final = "DELETE FROM fires WHERE (job, due_at) IN (SELECT f.job, f.due_at FROM given CROSS JOIN fires AS f "
_OLD: Final = "WHERE f.job = given.job AND f.due_at < {old} LIMIT {limit})"


def fire(unit: Unit, batches: Sequence[Sequence[Fire]]) -> list[Fired]:
    """Carry out sets of commands, one after the other."""
    return [_fire(unit, commands) for commands in batches]


def _fire(unit: Unit, commands: Sequence[Fire]) -> Fired:
    began = thread_time()
    won = _advance(unit, commands)
    mine = [command for command in commands if command.job in won]
    refused, children = _make(unit, mine)
    _close(unit, mine, refused)
    return Fired(tuple(command.job in won for command in commands), children, thread_time() - began)


def _advance(unit: Unit, commands: Sequence[Fire]) -> set[int]:
    """Move schedules on that nobody has touched since they were read; their jobs. Locks them, lowest first."""
    rows = [
        (
            *(command.job, command.revision),
            *progress_values(command.after, command.wake_at, waiting=command.waits),
            _last_due(command),
        )
        for command in sorted(commands, key=lambda command: command.job)
    ]
    return {job for (job,) in unit.sets.among(_GIVEN, rows, _ADVANCE.format(now=unit.now))}


def _last_due(command: Fire) -> Micros | None:
    times = [due for due, _ in command.made] + [passed.until for passed in command.passed]
    return max(times, default=None)


def _make(unit: Unit, commands: Sequence[Fire]) -> tuple[list[tuple[int, Refusal]], int]:
    """Make the jobs; those that were refused with their schedules, and how many were made."""
    due = [(command.job, due_at, new) for command in commands for due_at, new in command.made]
    before = {(job, at) for job, at in unit.sets.among(("job", "due_at"), sorted((d[0], d[1]) for d in due), _MADE)}
    due = [one for one in due if (one[0], one[1]) not in before]
    answers = iter(submit_numbers(unit, [new for _, _, new in due if not isinstance(new, Refusal)]))
    fires: list[tuple[Any, ...]] = [
        (command.job, one.first, one.until if one.until > one.first else None, one.fate.value, None, "", "", unit.now)
        for command in commands
        for one in command.passed
    ]
    refused: list[tuple[int, Refusal]] = []
    for job, due_at, new in due:
        answer = new if isinstance(new, Refusal) else next(answers)
        if isinstance(answer, Refusal):
            refused.append((job, answer))
            fires.append(new_fire(job, due_at, unit.now, refusal=answer))
        else:
            fires.append(new_fire(job, due_at, unit.now, child=answer))
    unit.sets.insert("fires", FIRE_COLUMNS, fires, _AGAIN)
    return refused, len(due) - len(refused)


def _close(unit: Unit, commands: Sequence[Fire], refused: list[tuple[int, Refusal]]) -> None:
    """Tell what was refused, and end the schedules that have nothing left to do."""
    over = sorted(command.job for command in commands if command.after.over)
    if not over and not refused:
        return
    ledger = Ledger(unit)
    ledger.load([*over, *(job for job, _ in refused)])
    for job, refusal in refused:
        ledger.tell(
            ledger.entries[job],
            EventType.FIRE_REFUSED,
            reason=kept(refusal.reason.value),
            message=kept(refusal.message),
        )
    unit.sets.update("jobs", ("number",), ("exhausted",), [(job, True) for job in over])
    unit.sets.update("schedules", ("job",), ("active",), [(job, False) for job in over])
    for job in over:
        entry = ledger.entries[job]
        entry.exhausted = True
        ledger.fold(entry)
    ledger.close()


def forget_fires(unit: Unit, age: Micros, after: int, limit: int = STEP) -> tuple[int, int]:
    """Forget what became of due times longer ago than ``age``, for the schedules of jobs after one.

    Returns how much was forgotten, and the job to go on after: the same one while something was, 0 from the start.
    """
    jobs = unit.sets.all(_SCHEDULES, (after, limit))
    if not jobs:
        return 0, 0
    sql = (_FORGET + _OLD).format(old=unit.now - age, limit=limit)
    gone = len(unit.sets.among(("job",), jobs, sql + " RETURNING job"))
    return gone, after if gone else jobs[-1][0]
