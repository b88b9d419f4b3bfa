"""The loops of the engine: what time does to jobs when nobody calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from jobyard_server.engine.supervisor import Loop

UPLOAD_SECONDS: Final = 3600.0
"""What comes in pieces comes whole within that time, or not at all."""


class TimeKeeping(Protocol):
    """What the store does when time has passed. Each does a bounded piece and says how much it was."""

    async def expire_leases(self) -> int:
        """Take back what workers hold that are not heard of any more."""

    async def wake_due(self) -> int:
        """Make subjobs ready whose wait for another attempt is over."""

    async def force_cancels(self, grace_seconds: float) -> int:
        """Take away what was told to stop so long ago and goes on."""

    async def end_overdue(self, grace_seconds: float) -> int:
        """End what takes longer than its job allows."""

    async def forget_jobs(self) -> int:
        """Remove jobs whose time to be kept is over."""

    async def forget_events(self, seconds: float) -> int:
        """Forget events that are older."""

    async def forget_uploads(self, seconds: float) -> int:
        """Forget what was begun so long ago and never came whole."""

    async def give_back(self) -> int:
        """Give space that is not used any more back to the disk."""

    async def forget_keys(self) -> int:
        """Forget idempotency keys whose time is over."""


@dataclass(frozen=True, slots=True)
class Periods:
    """Seconds between two looks of each loop."""

    leases: float
    wakes: float
    cancels: float
    limits: float
    retention: float
    """Of what is forgotten after some time."""


@dataclass(frozen=True, slots=True)
class Grace:
    """Seconds that workers get."""

    cancel: float
    """To stop what was cancelled."""
    report: float
    """To report an attempt whose time is over."""


def loops(store: TimeKeeping, periods: Periods, grace: Grace, keep_events: float) -> list[Loop]:
    """The loops that keep time for jobs; events are kept for ``keep_events`` seconds."""
    return [
        Loop("leases", periods.leases, store.expire_leases),
        Loop("wakes", periods.wakes, store.wake_due),
        Loop("cancels", periods.cancels, lambda: store.force_cancels(grace.cancel)),
        Loop("limits", periods.limits, lambda: store.end_overdue(grace.report)),
        Loop("jobs", periods.retention, store.forget_jobs),
        Loop("keys", periods.retention, store.forget_keys),
        Loop("events", periods.retention, lambda: store.forget_events(keep_events)),
        Loop("uploads", periods.retention, lambda: store.forget_uploads(UPLOAD_SECONDS)),
        Loop("vacuum", periods.retention, store.give_back),
    ]
