"""Counts deliveries: what was sent, how it went and how long it took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobyard_server.domain.delivery import Answer, Delivery

BUCKETS: Final = (0.005, 0.02, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class DeliveryMetrics:
    """The figures of deliveries. None is by destination: clients choose those, and there may be any number."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._attempts = Counter(
            "jobyard_delivery_attempts",
            "Attempts of deliveries, by what came of them: the class of the HTTP status, or why there was none.",
            ["api", "kind", "outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "jobyard_delivery_seconds",
            "Time of an attempt of a delivery.",
            ["api", "kind"],
            buckets=BUCKETS,
            registry=registry,
        )

    def told(self, delivery: Delivery, answer: Answer, seconds: float) -> None:
        """Count an attempt."""
        outcome = answer.problem.value if answer.problem is not None else f"{answer.status // 100}xx"
        self._attempts.labels(delivery.api, delivery.kind, outcome).inc()
        self._seconds.labels(delivery.api, delivery.kind).observe(seconds)

    def watch(self, name: str, description: str, figure: Callable[[], float]) -> None:
        """Show a figure that is asked for when somebody looks."""
        Gauge(f"jobyard_deliver{name}", description, registry=self._registry).set_function(figure)
