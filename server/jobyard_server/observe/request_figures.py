"""Shows Prometheus how much memory requests take."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from jobyard_server.transcoding.budget import Budget


class RequestFigures(Collector):
    """Reads the budget when somebody looks."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    @override
    def collect(self) -> Iterator[Metric]:
        """The figures as they are now."""
        budget = self._budget
        yield GaugeMetricFamily("jobyard_request_bytes", "Bytes of requests in memory now.", budget.used)
        yield GaugeMetricFamily("jobyard_request_bytes_peak", "Most bytes of requests in memory at once.", budget.peak)
        yield GaugeMetricFamily("jobyard_request_bytes_limit", "Bytes that all requests may take.", budget.most)
        yield CounterMetricFamily(
            "jobyard_requests_without_room", "Requests sent away for lack of memory.", budget.refusals
        )
