"""What the server says about itself over HTTP: whether it lives, whether it is ready, and its metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from jobyard_server.observe.health import Health
from jobyard_server.transcoding.pages import Page, Pages


def pages(health: Health, registry: CollectorRegistry, look: Callable[[], Awaitable[None]]) -> Pages:
    """The pages by path; ``look`` reads what metrics show and nobody counts."""

    async def metrics() -> Page:
        await look()
        return Page(generate_latest(registry), CONTENT_TYPE_LATEST)

    return {
        "/healthz": lambda: Page(b"alive\n"),
        "/readyz": lambda: _ready(health),
        "/metrics": metrics,
    }


def _ready(health: Health) -> Page:
    lines = [f"{name}: {part.word}" for name, part in health.parts().items()]
    if health.draining:
        lines.append("server: stopping")
    return Page(("\n".join(lines) + "\n").encode(), available=health.ready)
