"""Shows Prometheus what the writer of the store counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from jobyard_server.store.tally import SIZES, Tally


class StoreFigures(Collector):
    """Reads the tally when somebody looks."""

    def __init__(self, tally: Callable[[], Tally]) -> None:
        self._tally = tally

    @override
    def collect(self) -> Iterator[Metric]:
        """The figures as they are now."""
        tally = self._tally()
        yield GaugeMetricFamily("jobyard_writes_waiting", "Writes that wait to be committed.", tally.waiting)
        yield GaugeMetricFamily("jobyard_writes_waiting_bytes", "Bytes of these writes.", tally.waiting_bytes)
        yield CounterMetricFamily("jobyard_batches_failed", "Batches that the database refused.", tally.failed)
        bounds = [*(str(float(size)) for size in SIZES), "+Inf"]
        counts = [*accumulate(tally.sizes), tally.batches]
        yield HistogramMetricFamily(
            "jobyard_batch_size",
            "Writes that were committed together.",
            buckets=list(zip(bounds, counts, strict=True)),
            sum_value=tally.commands,
        )
