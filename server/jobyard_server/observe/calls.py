"""Counts and times calls for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Histogram

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class CallMetrics:
    """What came in, how it ended and how long it took."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "jobyard_calls",
            "Calls that ended, by method, door and code.",
            ["method", "door", "code"],
            registry=registry,
        )
        self._seconds = Histogram(
            "jobyard_call_seconds",
            "Time from the arrival of a call to its end.",
            ["method", "door"],
            registry=registry,
            buckets=_BUCKETS,
        )
        # Looking a series up by its labels costs more than counting, so each is looked up once. Methods, doors and
        # codes are closed lists: the table cannot grow without bound.
        self._series: dict[tuple[str, str, str], tuple[Callable[[], None], Callable[[float], None]]] = {}

    def ended(self, method: str, door: str, code: str, seconds: float) -> None:
        """Count one call."""
        key = (method, door, code)
        series = self._series.get(key)
        if series is None:
            series = (self._calls.labels(method, door, code).inc, self._seconds.labels(method, door).observe)
            self._series[key] = series
        count, observe = series
        count()
        observe(seconds)
