"""What time does to rows: lost leases, retries that are due, keys that are forgotten.

Each step touches a bounded number of rows, so that it holds up nobody; the engine repeats it while
there is more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jobyard_server.domain.job import LeaseLoss, Outcome
from jobyard_server.domain.state import State
from jobyard_server.store.ending import End, end_all
from jobyard_server.store.leases import HELD_COLUMNS, Held
from jobyard_server.store.ledger import Ledger
from jobyard_server.store.tables import OPEN

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from jobyard_server.domain.job import Micros
    from jobyard_server.store.ledger import Entry
    from jobyard_server.store.unit import Unit

STEP: Final = 500
MAX_LOSSES: Final = 10
"""A subjob that took so many workers with it is not given to another one."""

LOST: Final = "LEASE_LOST"
TIMED_OUT: Final = "TIMED_OUT"

_LAPSED: Final = (
    f"SELECT {HELD_COLUMNS} "
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
    "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions "
    "WHERE expires_at <= ? AND expires_at - seen_at <= ? AND NOT EXISTS "
    f"(SELECT 1 FROM attempts AS a WHERE a.session = sessions.id AND a.{OPEN}) LIMIT ?) "
    # Once more, for one that was heard of meanwhile.
    "AND expires_at <= ? AND expires_at - seen_at <= ?"
)
_WAKE: Final = (
    "UPDATE subjobs SET wake_at = NULL WHERE id IN (SELECT id FROM subjobs "
    "WHERE wake_at <= ? AND state = 'PENDING' ORDER BY wake_at LIMIT ?) "
    "AND wake_at IS NOT NULL AND state = 'PENDING' RETURNING queue"
)
_FORGET_KEYS: Final = (
    "DELETE FROM request_keys WHERE (api, tenant, key) IN "
    "(SELECT api, tenant, key FROM request_keys WHERE expires_at <= ? LIMIT ?)"
)


def expire_leases(unit: Unit, reachable_for: Micros, limit: int = STEP) -> int:
    """Take back what lapsed sessions hold; how many leases and sessions were dealt with.

    A session lapses only when its worker could have reached this store for its whole life.
    """
    lapsed = settled_down(unit, lambda: unit.sets.all(_LAPSED, (unit.now, reachable_for, limit)))
    if lapsed:
        take_back(unit, lapsed)
    return len(lapsed) + unit.sets.run(_FORGET_SESSIONS, (unit.now, reachable_for, limit, unit.now, reachable_for))


def settled_down(
    unit: Unit, read: Callable[[], list[tuple[Any, ...]]], besides: Container[tuple[int, int]] = ()
) -> list[Held]:
    """What a query finds, its jobs locked: where others write, it is read again when they cannot any more.

    ``besides``: subjobs and attempts that do not count.
    """
    found = [lease for row in read() if ((lease := Held(*row)).subjob, lease.number) not in besides]
    if not found or not unit.sets.dialect.concurrent:
        return found
    locked = {lease.job for lease in found}
    unit.sets.lock_jobs(locked)
    return [lease for row in read() if (lease := Held(*row)).job in locked]


def take_back(unit: Unit, lapsed: list[Held], reason: str = LOST) -> None:
    """End attempts whose worker is gone, and give their subjobs to others as their jobs say."""
    subjobs = sorted({(lease.subjob,) for lease in lapsed})
    losses = dict(unit.sets.among(("subjob",), subjobs, _LOSSES))
    ledger = Ledger(unit)
    ledger.load(lease.job for lease in lapsed)
    ends = [_end(ledger.entries[lease.job], lease, losses.get(lease.subjob, 0), reason) for lease in lapsed]
    end_all(unit, ledger, ends)


def _end(entry: Entry, lease: Held, losses: int, reason: str) -> End:
    """What becomes of a subjob whose worker was lost."""
    attempts = lease.attempts
    if lease.state == State.CANCELLING:
        state = State.CANCELLED
    elif entry.on_lease_loss == LeaseLoss.TIME_OUT:
        state, reason = State.FAILED, TIMED_OUT
    elif losses + 1 >= MAX_LOSSES:
        state = State.FAILED
    else:
        state = State.SUSPENDED if entry.suspended else State.PENDING
        attempts = max(0, attempts - 1)
    return End(lease, state, Outcome.LOST, reason, "its worker was not heard of any more", attempts)


def wake_due(unit: Unit, limit: int = STEP) -> int:
    """Make subjobs ready whose wait is over; how many."""
    rows = unit.sets.all(_WAKE, (unit.now, limit))
    unit.woken.update(queue for (queue,) in rows)
    return len(rows)


def forget_keys(unit: Unit, limit: int = STEP) -> int:
    """Forget request keys whose time is over; how many."""
    return unit.sets.run(_FORGET_KEYS, (unit.now, limit))
