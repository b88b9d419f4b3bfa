"""Subjobs that leave their worker without its word: their attempts end, and their jobs say what comes next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from jobyard_server.domain.event import EventType
from jobyard_server.domain.state import State
from jobyard_server.store.following import follow
from jobyard_server.store.lines import capped
from jobyard_server.store.rows import after, time_limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobyard_server.domain.job import Micros, Outcome
    from jobyard_server.store.leases import Held
    from jobyard_server.store.ledger import Entry, Ledger
    from jobyard_server.store.unit import Unit

ENDED: Final = ("outcome", "answer", "reason", "message", "exit_code", "ended_at")
MOVED: Final = (
    *("state", "reason", "message", "result", "attempts", "wake_at", "updated_at", "finished_at"),
    *("limit_at", "silence_at"),
)


@dataclass(frozen=True, slots=True)
class End:
    """How one subjob leaves its worker."""

    lease: Held
    state: State
    """Where it goes."""
    outcome: Outcome
    """Of its attempt, if one is open."""
    reason: str
    message: str
    attempts: int
    """Counted from now on."""
    wake_at: Micros | None = None


def end_all(unit: Unit, ledger: Ledger, ends: Sequence[End]) -> None:
    """Carry ends out; the ledger has loaded their jobs, and is closed."""
    ended: list[tuple[Any, ...]] = []
    moved: list[tuple[Any, ...]] = []
    for one in ends:
        lease, entry = one.lease, ledger.entries[one.lease.job]
        ledger.move(entry, State(lease.state), one.state, current=lease.generation == entry.generation)
        _tell(ledger, entry, one)
        if lease.open:
            told = (one.outcome.value, "", one.reason, one.message, None, unit.now)
            ended.append((lease.subjob, lease.number, *told))
        finished_at = unit.now if one.state.terminal else None
        moved.append(
            (
                *(lease.subjob, one.state.value, one.reason, one.message, "null", one.attempts, one.wake_at),
                *(unit.now, finished_at, start_limit(entry, one.state, one.wake_at or unit.now), None),
            )
        )
        if one.state is State.PENDING and one.wake_at is None:
            unit.woken.add(lease.queue)
    unit.sets.update("attempts", ("subjob", "number"), ENDED, ended)
    unit.sets.update("subjobs", ("id",), MOVED, moved)
    ledger.close()
    follow(unit, ledger)
    # A place is free again where places are limited.
    unit.woken |= capped(unit, (one.lease.queue for one in ends))


def _tell(ledger: Ledger, entry: Entry, one: End) -> None:
    ledger.tell(
        entry,
        EventType.ATTEMPT_ENDED if one.lease.open else EventType.SUBJOB_CHANGED,
        subjob=one.lease.ordinal,
        subjob_state=one.state,
        attempt=one.lease.number if one.lease.open else None,
        reason=one.reason,
        message=one.message,
    )
    if one.state.terminal and entry.lacks_reason():
        # The first subjob that ended badly says why its job did.
        entry.reason, entry.message = one.reason, one.message
    ledger.fold(entry)


def start_limit(entry: Entry, state: State, begin: Micros) -> Micros | None:
    """When a subjob that goes to a state has to be started."""
    return after(begin, time_limits(entry.limits).start) if entry.limits and state is State.PENDING else None
