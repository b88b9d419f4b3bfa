"""The loops of the engine: what time does to jobs when nobody calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from jobyard_server.engine.supervisor import Loop


class TimeKeeping(Protocol):
    """What the store does when time has passed. Each does a bounded piece and says how much it was."""

    async def expire_leases(self) -> int:
        """Take back what workers hold that are not heard of any more."""

    async def wake_due(self) -> int:
        """Make subjobs ready whose wait for another attempt is over."""

    async def forget_keys(self) -> int:
        """Forget idempotency keys whose time is over."""


@dataclass(frozen=True, slots=True)
class Periods:
    """Seconds between two looks of each loop."""

    leases: float
    wakes: float
    cancels: float
    retention: float


def loops(store: TimeKeeping, periods: Periods) -> list[Loop]:
    """Every loop of this server."""
    return [
        Loop("leases", periods.leases, store.expire_leases),
        Loop("wakes", periods.wakes, store.wake_due),
        Loop("keys", periods.retention, store.forget_keys),
    ]
