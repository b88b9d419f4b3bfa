"""Shows how long work waits for workers, which is what tells how many of them there should be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from jobyard_server.domain.reason import Refused

PERIOD: Final = 5.0


class QueueLag(Collector):
    """The wait of the next piece of work, by queue. Looked at now and then, never while somebody waits for figures."""

    def __init__(self, registry: CollectorRegistry, ask: Callable[[], Awaitable[Mapping[str, float]]]) -> None:
        self._ask = ask
        self._known: set[str] = set()
        self._waits: Mapping[str, float] = {}
        registry.register(self)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                self._waits = await self._ask()
            except Refused:
                # The database is away, which others tell.
                self._waits = {}
            self._known |= self._waits.keys()
            await asyncio.sleep(PERIOD)

    @override
    def collect(self) -> Iterator[Metric]:
        """The figures of the last look. A queue that once had work is 0 from then on when it has none."""
        lag = GaugeMetricFamily(
            "jobyard_queue_lag_seconds", "How long the next job of a queue has waited for a worker.", labels=["queue"]
        )
        for queue in sorted(self._known):
            lag.add_metric([queue], self._waits.get(queue, 0.0))
        yield lag
