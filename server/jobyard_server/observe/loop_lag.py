"""Measures how late the event loop is: everything the server does waits for it."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, Histogram

PERIOD: Final = 0.25
_BUCKETS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class LoopLag:
    """A clock that should strike four times a second, and by how much it is late."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._late = Histogram(
            "jobyard_loop_lag_seconds",
            "By how much the event loop came late to what was due.",
            registry=registry,
            buckets=_BUCKETS,
        )
        newest = Gauge("jobyard_loop_lag_newest_seconds", "The newest measure of the loop's lag.", registry=registry)
        newest.set_function(lambda: self.newest)
        self.newest = 0.0

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            due = perf_counter() + PERIOD
            await asyncio.sleep(PERIOD)
            self.newest = max(0.0, perf_counter() - due)
            self._late.observe(self.newest)
