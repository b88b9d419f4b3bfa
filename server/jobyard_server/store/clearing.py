"""What time ends for good: cancelled work that does not stop, and jobs whose time to be kept is over.

Each step touches a bounded number of rows, as those of :mod:`jobyard_server.store.expiry`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobyard_server.domain.event import EventType
from jobyard_server.domain.job import Outcome
from jobyard_server.domain.state import State
from jobyard_server.store.ending import End, end_all
from jobyard_server.store.expiry import STEP, settled_down
from jobyard_server.store.leases import HELD_COLUMNS
from jobyard_server.store.ledger import Ledger
from jobyard_server.store.removing import remove_job
from jobyard_server.store.tables import CANCELLING, OPEN

if TYPE_CHECKING:
    from jobyard_server.domain.job import Micros
    from jobyard_server.store.unit import Unit

JOBS_STEP: Final = 50
"""A job takes some dozen statements to remove."""

FORCED: Final = "CANCEL_FORCED"
_MESSAGE: Final = "its worker did not stop in time"

_OVERDUE: Final = (
    f"SELECT {HELD_COLUMNS} "
    "FROM subjobs AS s CROSS JOIN attempts AS a "
    f"WHERE s.{CANCELLING} AND s.updated_at <= ? AND a.subjob = s.id AND a.number = s.attempt_no AND a.{OPEN} "
    "ORDER BY s.updated_at LIMIT ?"
)
_EXPIRED: Final = (
    "SELECT jobs.number FROM standings AS s JOIN jobs ON jobs.number = s.number "
    # Once more, for one that was resumed meanwhile.
    "WHERE s.removal_at <= ? AND jobs.expires_at <= ? ORDER BY s.removal_at LIMIT ?"
)


def force_cancels(unit: Unit, grace: Micros, limit: int = STEP) -> int:
    """Take away what was told to stop longer ago than ``grace`` and goes on; how many leases.

    A subjob that is being cancelled changes no more until it has ended, so its row knows since when.
    """
    overdue = settled_down(unit, lambda: unit.sets.all(_OVERDUE, (unit.now - grace, limit)))
    if not overdue:
        return 0
    ledger = Ledger(unit)
    ledger.load(lease.job for lease in overdue)
    ends = [End(lease, State.CANCELLED, Outcome.FENCED, FORCED, _MESSAGE, lease.attempts) for lease in overdue]
    end_all(unit, ledger, ends)
    return len(overdue)


def forget_jobs(unit: Unit, limit: int = JOBS_STEP) -> int:
    """Remove jobs whose time to be kept is over; how many. That they were removed stays among the events."""
    expired = unit.sets.dialect.locking(_EXPIRED, "jobs", skip=True)
    numbers = [number for (number,) in unit.sets.all(expired, (unit.now, unit.now, limit))]
    ledger = Ledger(unit)
    ledger.load(numbers)
    for number in numbers:
        ledger.tell(ledger.entries[number], EventType.JOB_DELETED, reason="EXPIRED")
    ledger.close()
    for number in numbers:
        remove_job(unit, number)
    return len(numbers)
