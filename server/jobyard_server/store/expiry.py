"""What time does to rows: lost leases, retries that are due, keys that are forgotten.

Each step touches a bounded number of rows, so that it holds up nobody; the engine repeats it while
there is more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jobyard_server.domain.event import EventType
from jobyard_server.domain.job import LeaseLoss, Outcome
from jobyard_server.domain.state import State
from jobyard_server.store.leases import HELD_COLUMNS, Held
from jobyard_server.store.ledger import Ledger
from jobyard_server.store.lines import capped
from jobyard_server.store.settle import ENDED, MOVED
from jobyard_server.store.tables import OPEN

if TYPE_CHECKING:
    from jobyard_server.domain.job import Micros
    from jobyard_server.store.ledger import Entry
    from jobyard_server.store.unit import Unit

STEP: Final = 500
MAX_LOSSES: Final = 10
"""A subjob that took so many workers with it is not given to another one."""

LOST: Final = "LEASE_LOST"
TIMED_OUT: Final = "TIMED_OUT"

_LAPSED: Final = (
    f"SELECT {HELD_COLUMNS} "  # noqa: S608 - our own names
    "FROM sessions CROSS JOIN attempts AS a CROSS JOIN subjobs AS s "
    "WHERE sessions.expires_at <= ? AND sessions.expires_at - sessions.seen_at <= ? "
    f"AND a.session = sessions.id AND a.{OPEN} AND s.id = a.subjob "
    "ORDER BY sessions.expires_at LIMIT ?"
)
_LOSSES: Final = (
    "SELECT a.subjob, count(*) FROM given CROSS JOIN attempts AS a "
    "WHERE a.subjob = given.subjob AND a.outcome = 'LOST' GROUP BY a.subjob"
)
_FORGET_SESSIONS: Final = (
    "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions "  # noqa: S608
    "WHERE expires_at <= ? AND expires_at - seen_at <= ? AND NOT EXISTS "
    f"(SELECT 1 FROM attempts AS a WHERE a.session = sessions.id AND a.{OPEN}) LIMIT ?)"
)
_WAKE: Final = (
    "UPDATE subjobs SET wake_at = NULL WHERE id IN (SELECT id FROM subjobs "
    "WHERE wake_at <= ? AND state = 'PENDING' ORDER BY wake_at LIMIT ?) RETURNING queue"
)
_FORGET_KEYS: Final = (
    "DELETE FROM request_keys WHERE (api, tenant, key) IN "
    "(SELECT api, tenant, key FROM request_keys WHERE expires_at <= ? LIMIT ?)"
)


def expire_leases(unit: Unit, reachable_for: Micros, limit: int = STEP) -> int:
    """Take back what lapsed sessions hold; how many leases and sessions were dealt with.

    A session lapses only when its worker could have reached this store for its whole life.
    """
    rows = unit.sets.all(_LAPSED, (unit.now, reachable_for, limit))
    lapsed = [Held(*row) for row in rows]
    if lapsed:
        take_back(unit, lapsed)
    return len(lapsed) + unit.sets.run(_FORGET_SESSIONS, (unit.now, reachable_for, limit))


def take_back(unit: Unit, lapsed: list[Held]) -> None:
    """End attempts whose worker is gone, and give their subjobs to others as their jobs say."""
    subjobs = sorted({(lease.subjob,) for lease in lapsed})
    losses = dict(unit.sets.among(("subjob",), subjobs, _LOSSES))
    ledger = Ledger(unit)
    ledger.load(lease.job for lease in lapsed)
    ended: list[tuple[Any, ...]] = []
    moved: list[tuple[Any, ...]] = []
    for lease in lapsed:
        entry = ledger.entries[lease.job]
        after, reason, attempts = _after(entry, lease, losses.get(lease.subjob, 0))
        _lose(unit, ledger, entry, lease, after, reason)
        message = "its worker was not heard of any more"
        ended.append((lease.subjob, lease.number, Outcome.LOST, "", LOST, message, None, unit.now))
        finished_at = unit.now if after.terminal else None
        moved.append((lease.subjob, after, reason, message, "null", attempts, None, unit.now, finished_at))
    unit.sets.update("attempts", ("subjob", "number"), ENDED, ended)
    unit.sets.update("subjobs", ("id",), MOVED, moved)
    ledger.close()
    unit.woken |= capped(unit, (lease.queue for lease in lapsed))


def _after(entry: Entry, lease: Held, losses: int) -> tuple[State, str, int]:
    """(state, reason, attempts counted) of a subjob whose worker was lost."""
    if lease.state == State.CANCELLING:
        return State.CANCELLED, LOST, lease.attempts
    if entry.on_lease_loss == LeaseLoss.TIME_OUT:
        return State.FAILED, TIMED_OUT, lease.attempts
    if losses + 1 >= MAX_LOSSES:
        return State.FAILED, LOST, lease.attempts
    waits = State.SUSPENDED if entry.suspended else State.PENDING
    return waits, LOST, lease.attempts - 1


def _lose(unit: Unit, ledger: Ledger, entry: Entry, lease: Held, after: State, reason: str) -> None:
    current = lease.generation == entry.generation
    ledger.move(entry, State(lease.state), after, current=current)
    ledger.tell(
        entry,
        EventType.ATTEMPT_ENDED,
        subjob=lease.ordinal,
        subjob_state=after,
        attempt=lease.number,
        reason=reason,
    )
    if after.terminal and not entry.reason:
        entry.reason, entry.message = reason, "its worker was not heard of any more"
    ledger.fold(entry)
    if after is State.PENDING:
        unit.woken.add(lease.queue)


def wake_due(unit: Unit, limit: int = STEP) -> int:
    """Make subjobs ready whose wait is over; how many."""
    rows = unit.sets.all(_WAKE, (unit.now, limit))
    unit.woken.update(queue for (queue,) in rows)
    return len(rows)


def forget_keys(unit: Unit, limit: int = STEP) -> int:
    """Forget request keys whose time is over; how many."""
    return unit.sets.run(_FORGET_KEYS, (unit.now, limit))
