"""The time of an embedded database: the wall clock, and what to do when somebody sets it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jobyard_server.store.tables import HEARD, LIMITED, LIMITED_IN_ALL

if TYPE_CHECKING:
    from jobyard_server.domain.job import Micros
    from jobyard_server.store.sets import Sets

TOLERANCE: Final = 2_000_000
"""Microseconds by which the wall clock may drift or be slewed before it counts as set."""

_NAME: Final = "clock"
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_KNOWN: Final = "SELECT value FROM meta WHERE name = ?"
_KEEP: Final = "INSERT INTO meta(name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
_SHIFTS: Final = (
    "UPDATE sessions SET seen_at = seen_at + ?",
    "UPDATE sessions SET expires_at = expires_at + ?",
    f"UPDATE subjobs SET limit_at = limit_at + ? WHERE {LIMITED}",
    f"UPDATE subjobs SET silence_at = silence_at + ? WHERE {HEARD}",
    f"UPDATE subjobs SET total_at = total_at + ? WHERE {LIMITED_IN_ALL}",
)


class Clock:
    """Tells the time, and shifts live leases and time limits when the wall clock jumps against the monotonic one.

    All processes on one file share one machine, hence one monotonic clock: how far the wall clock
    is from it is kept in the database, so that a jump shifts the leases once, whoever sees it
    first, even when nobody ran while it happened.
    """

    def __init__(self) -> None:
        self._boot = _BOOT.read_text().strip() if _BOOT.exists() else "unknown"
        self._distance: Micros | None = None

    def wall(self) -> Micros:
        """What the clock on the wall shows."""
        return time.time_ns() // 1000

    def steady(self) -> Micros:
        """Microseconds of the clock that nobody sets."""
        return time.monotonic_ns() // 1000

    def now(self, sets: Sets) -> Micros:
        """The time of a transaction that has just begun."""
        wall = self.wall()
        distance = wall - self.steady()
        if self._distance is None or abs(distance - self._distance) > TOLERANCE:
            self._compare(sets, distance)
        self._distance = distance
        return wall

    def _compare(self, sets: Sets, distance: Micros) -> None:
        """Shift the leases by what the wall clock jumped since the database last heard of it."""
        for (value,) in sets.all(_KNOWN, (_NAME,)):
            boot, known = value.split(" ")
            jump = distance - int(known)
            # After a reboot the monotonic clock began anew, and nothing can be compared.
            if boot == self._boot and abs(jump) > TOLERANCE:
                for shift in _SHIFTS:
                    sets.run(shift, (jump,))
        sets.run(_KEEP, (_NAME, f"{self._boot} {distance}"))
