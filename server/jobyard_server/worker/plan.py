"""What a worker is to do: whom it serves, what it runs, and within which limits."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

KIB = 1024
MIB = 1024 * KIB


def default_name() -> str:
    """Name of a worker by its host and process."""
    return f"{socket.gethostname()[:100]}:{os.getpid()}"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use. ``None`` is no limit."""

    cpu_seconds: float | None = None
    """Processor time of any one of its processes."""
    memory_bytes: int | None = None
    """Main memory of all its processes together."""
    timeout_seconds: float | None = None
    """Time from start to end."""
    grace_seconds: float = 10.0
    """Time from SIGTERM to SIGKILL."""
    output_bytes: int = 64 * MIB
    """Output that is sent to the server; what comes after is read and dropped."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The work of one worker."""

    programs: Mapping[str, tuple[str, ...]]
    """The command of each queue it serves, as argv."""
    concurrency: int = 1
    """Programs that run at once."""
    limits: Limits = field(default_factory=Limits)
    environment: Mapping[str, str] = field(default_factory=dict)
    """What programs get of the worker's environment; see `worker.environment`."""
    name: str = field(default_factory=default_name)
    drain_seconds: float = 20.0
    """Time that running programs get when the worker is to end."""
    wait_seconds: float = 20.0
    """How long one Acquire waits for work."""
    unreachable_seconds: float = 300.0
    """Programs run on while the server cannot be reached for so long; then they are killed. The server refuses the
    results of work that it gave to somebody else meanwhile, so this bounds waste, not safety."""
