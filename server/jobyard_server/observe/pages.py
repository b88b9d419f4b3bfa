"""What the server says about itself over HTTP: whether it lives, whether it is ready, and its metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from jobyard_server.observe.health import Health
from jobyard_server.transcoding.pages import Page


def pages(health: Health, registry: CollectorRegistry) -> Mapping[str, Callable[[], Page]]:
    """The pages by path."""
    return {
        "/healthz": lambda: Page(b"alive\n"),
        "/readyz": lambda: _ready(health),
        "/metrics": lambda: Page(generate_latest(registry), CONTENT_TYPE_LATEST),
    }


def _ready(health: Health) -> Page:
    lines = [f"{name}: {part.word}" for name, part in health.parts().items()]
    if health.draining:
        lines.append("server: stopping")
    return Page(("\n".join(lines) + "\n").encode(), available=health.ready)
