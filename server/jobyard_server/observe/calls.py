"""Counts, times and writes down calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram

from jobyard_server.domain.principal import Principal

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


class CallLog:
    """One line for every call. It is the hottest of all logs, so as JSON it is printed without structlog's steps."""

    def __init__(
        self,
        stream: TextIO,
        *,
        people: bool,
        every: bool = True,
        changes: bool = True,
        trail: Callable[[bytes], None] | None = None,
    ) -> None:
        """Print for people by the usual logger, else JSON to a stream.

        `every` call, or those that may have changed something; the latter go to the `trail` in any case.
        """
        logger = structlog.get_logger("jobyard.calls")
        self._print: Callable[[Mapping[str, Any]], None] = (
            (lambda fields: logger.info(**fields)) if people else _json_lines(stream)
        )
        self._every = every
        self._changes = every or changes
        self._trail = trail

    def write(  # noqa: PLR0917 - called in one place, for every call
        self,
        method: str,
        door: str,
        code: str,
        reason: str | None,
        seconds: float,
        principal: Principal | None,
        peer: str,
        request_id: str,
        *,
        changes: bool = False,
    ) -> None:
        """Write down a call that ended. Nothing of its request or its credentials is among the facts."""
        shown = self._changes if changes else self._every
        if not shown and not changes:
            return
        fields: dict[str, Any] = {"event": "call", "method": method, "door": door, "code": code}
        if reason is not None:
            fields["reason"] = reason
        fields["ms"] = round(seconds * 1000, 3)
        if principal is not None:
            fields["user"] = principal.user
            fields["tenant"] = principal.tenant
        fields["peer"] = peer
        fields["request_id"] = request_id
        if changes:
            fields["changes"] = True
            if self._trail is not None:
                self._trail(_line(fields))
        if shown:
            self._print(fields)


def _line(fields: Mapping[str, Any]) -> bytes:
    return orjson.dumps({"timestamp": datetime.now(UTC), "level": "info", **fields}, option=orjson.OPT_APPEND_NEWLINE)


def _json_lines(stream: TextIO) -> Callable[[Mapping[str, Any]], None]:
    """Print lines once what the event loop has in hand is done: behind the answer, and those of one moment together."""
    waiting: list[bytes] = []

    def flush() -> None:
        lines = b"".join(waiting)
        waiting.clear()
        stream.write(lines.decode())
        stream.flush()

    def write(fields: Mapping[str, Any]) -> None:
        waiting.append(_line(fields))
        if len(waiting) == 1:
            asyncio.get_running_loop().call_soon(flush)

    return write
