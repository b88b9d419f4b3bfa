"""The worker inside a development server: a task that talks to the gRPC port next door, as any other worker does."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from jobyard_server.client.channel import Address
from jobyard_server.worker import environment
from jobyard_server.worker.command import argv_of
from jobyard_server.worker.plan import Limits, Plan
from jobyard_server.worker.worker import Worker

DEFAULT_QUEUE: Final = "default"
FUNCTIONS_QUEUE: Final = "qinling/python"
FUNCTIONS: Final = (sys.executable, "-I", "-m", "jobyard_server.worker.functions")
ECHO: Final = (sys.executable, "-I", str(Path(__file__).with_name("echo.py")))
CONCURRENCY: Final = 4
HURRY_SECONDS: Final = 2.0
"""Whoever stops a development server does not want to wait for what runs in it."""

_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - where servers listen, not we

_log = logging.getLogger(__name__)


def programs_of(commands: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """What runs for which queue: what is said for it, and for the queue `default` the echo program otherwise.

    Beside them functions are run, unless their queue is named. Other queues are left to other workers: whoever starts
    a worker of his own for a queue wants its jobs to get there.
    Raises CommandLineError.
    """
    return {DEFAULT_QUEUE: ECHO} | {queue: argv_of(command) for queue, command in commands.items()}


class EmbeddedWorker:
    """A worker that runs beside its server."""

    def __init__(self, grpc_at: str, programs: Mapping[str, tuple[str, ...]]) -> None:
        self._address = Address.of(_reachable(grpc_at))
        self._plan = Plan(
            programs={FUNCTIONS_QUEUE: (*FUNCTIONS, "--server", self._address.target), **programs},
            concurrency=CONCURRENCY,
            limits=Limits(grace_seconds=HURRY_SECONDS),
            environment=environment.passed(os.environ),
            name="development worker",
            drain_seconds=HURRY_SECONDS,
        )
        self._worker: Worker | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start working; the server has to be listening."""
        self._task = asyncio.create_task(self._run(), name="development-worker")

    async def stop(self) -> None:
        """Give back what runs; the server has to be there still."""
        if self._worker is not None:
            self._worker.leave()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        async with self._address.open() as channel:
            self._worker = Worker(channel, self._address.metadata, self._plan)
            try:
                await self._worker.run()
            except Exception:  # noqa: BLE001 - the server goes on without it
                _log.exception("the development worker has ended")


def _reachable(address: str) -> str:
    """The address as a client on this machine uses it."""
    host, _, port = address.rpartition(":")
    return f"{_LOOPBACK.get(host, host)}:{port}"
