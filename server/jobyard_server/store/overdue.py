"""What ends because its time is over: nobody started it, an attempt took too long, or all of it did.

Each limit has an index over the rows that it may concern, so that a look that finds nothing reads nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobyard_server.domain.job import Outcome
from jobyard_server.domain.state import State
from jobyard_server.store.ending import End, end_all
from jobyard_server.store.expiry import STEP, settled_down, take_back
from jobyard_server.store.leases import HELD_COLUMNS, Held
from jobyard_server.store.ledger import Ledger
from jobyard_server.store.rows import retry_policy, time_limits
from jobyard_server.store.settle import TOTAL_TIMED_OUT, backoff
from jobyard_server.store.tables import HEARD, LIMITED, LIMITED_IN_ALL, OPEN

if TYPE_CHECKING:
    from jobyard_server.domain.job import Micros
    from jobyard_server.store.ledger import Entry
    from jobyard_server.store.unit import Unit

START_TIMED_OUT: Final = "START_TIMED_OUT"
ATTEMPT_TIMED_OUT: Final = "ATTEMPT_TIMED_OUT"
HEARTBEAT_TIMED_OUT: Final = "HEARTBEAT_TIMED_OUT"

_MESSAGES: Final = {
    START_TIMED_OUT: "no worker started it in time",
    ATTEMPT_TIMED_OUT: "the attempt did not end in time",
    TOTAL_TIMED_OUT: "it did not end in time",
}
_COLUMNS: Final = (
    HELD_COLUMNS.replace("a.subjob", "s.id")
    .replace("a.number", "COALESCE(a.number, 0)")
    .replace("a.session", "COALESCE(a.session, 0)")
    .replace("a.principal", "COALESCE(a.principal, '')")
    .replace("a.secret", "''")
    .replace("a.outcome", "COALESCE(a.outcome, '')")
    .replace("a.answer", "''")
)
"""The fields of :class:`Held`, where there may be no lease."""
_FROM: Final = (
    f"SELECT {_COLUMNS} FROM subjobs AS s "
    f"LEFT JOIN attempts AS a ON a.subjob = s.id AND a.number = s.attempt_no AND a.{OPEN} "
)
_LATE: Final = f"{_FROM} WHERE s.limit_at <= ? AND (s.state = 'PENDING' OR s.limit_at <= ?) AND {LIMITED} "
_LATE_IN_ALL: Final = (
    f"{_FROM} WHERE s.total_at <= ? AND (s.state <> 'RUNNING' OR s.total_at <= ?) AND s.state <> 'CANCELLING' "
    f"AND {LIMITED_IN_ALL} "
)
_SILENT: Final = f"{_FROM} WHERE s.silence_at <= ? AND {HEARD} "


def end_overdue(unit: Unit, grace: Micros, reachable_for: Micros, limit: int = STEP) -> int:
    """End what is late; how much.

    A worker knows its limits and stops by itself; it is given ``grace`` to say how the attempt ended, during which it
    could have reached this store.
    """
    now, late_run = unit.now, unit.now - max(grace, 0)
    if reachable_for < grace:
        # Nothing that runs is late enough.
        late_run = -1
    found = _read(unit, f"{_LATE_IN_ALL} ORDER BY s.total_at LIMIT ?", (now, late_run, limit))
    if found:
        _end(unit, found, in_all=True)
        return len(found)
    found = _read(unit, f"{_LATE} ORDER BY s.limit_at LIMIT ?", (now, late_run, limit))
    if found:
        _end(unit, found, in_all=False)
        return len(found)
    found = _read(unit, f"{_SILENT} ORDER BY s.silence_at LIMIT ?", (now, limit))
    silent = _could_be_heard(unit, found, reachable_for)
    if silent:
        take_back(unit, silent, HEARTBEAT_TIMED_OUT)
    return len(silent)


def _read(unit: Unit, sql: str, parameters: tuple[int, ...]) -> list[Held]:
    return settled_down(unit, lambda: unit.sets.all(sql, parameters))


def _could_be_heard(unit: Unit, found: list[Held], reachable_for: Micros) -> list[Held]:
    """Those whose workers could have reached this store all the time they had."""
    ledger = Ledger(unit)
    ledger.load(lease.job for lease in found)
    limits = {number: time_limits(entry.limits).heartbeat or 0.0 for number, entry in ledger.entries.items()}
    return [lease for lease in found if limits[lease.job] * 1_000_000 <= reachable_for]


def _end(unit: Unit, found: list[Held], *, in_all: bool) -> None:
    ledger = Ledger(unit)
    ledger.load(lease.job for lease in found)
    ends = []
    for lease in found:
        if in_all:
            state, reason, wake_at = State.FAILED, TOTAL_TIMED_OUT, None
        elif lease.state == State.PENDING:
            state, reason, wake_at = State.FAILED, START_TIMED_OUT, None
        else:
            reason = ATTEMPT_TIMED_OUT
            state, wake_at = _after_attempt(unit, ledger.entries[lease.job], lease)
        ends.append(End(lease, state, Outcome.FENCED, reason, _MESSAGES[reason], lease.attempts, wake_at))
    end_all(unit, ledger, ends)


def _after_attempt(unit: Unit, entry: Entry, lease: Held) -> tuple[State, Micros | None]:
    """Where a subjob goes whose attempt took too long: to another one if there is one left."""
    policy = retry_policy(entry.retry)
    exhausted = policy.max_attempts <= max(1, lease.attempts)
    if exhausted or ATTEMPT_TIMED_OUT in policy.non_retryable:
        return State.FAILED, None
    if entry.suspended:
        return State.SUSPENDED, None
    wait = backoff(policy, lease.attempts)
    return State.PENDING, unit.now + wait if wait else None
