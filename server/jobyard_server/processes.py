"""Runs several servers as one, on one machine: they share the ports and the database, and the dead are replaced."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import socket
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import structlog

from jobyard_server import listening
from jobyard_server.observe.log import configure
from jobyard_server.process import Ready, Refused, serve
from jobyard_server.settings import Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

FIRST_WAIT: Final = 0.2
LONGEST_WAIT: Final = 30.0
HEALTHY_AFTER: Final = 60.0
"""Seconds a process has to live for the wait before its next start to begin small again."""

LEFT_TO_STOP: Final = 5.0
"""Seconds a process has beyond the time its calls may take; then it is killed."""

_log = structlog.get_logger("jobyard.processes")
_spawning = multiprocessing.get_context("spawn")


def run(settings: Settings) -> int:
    """Serve with as many processes as the settings say, until a signal; the exit code. Raises SettingsError."""
    configure(settings.log_format, settings.log_level)
    return asyncio.run(_Parent(settings).run())


class _Parent:
    """Keeps the ports, and a process for each place."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._began = monotonic()
        self._stopping = asyncio.Event()
        self._places: list[_Place] = []

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told_to_stop)
        with contextlib.ExitStack() as kept:
            shared = self._settings.model_copy(update=self._reserved(kept))
            self._places = [_Place(number, _for_place(shared, number)) for number in range(shared.processes)]
            keeping = [asyncio.create_task(place.keep(self._stopping)) for place in self._places]
            try:
                if await self._all_ready(keeping):
                    listening.say_where(shared, shared.grpc, shared.rest, monotonic() - self._began)
                await asyncio.gather(*keeping)
            finally:
                self._stopping.set()
                await asyncio.gather(*keeping, return_exceptions=True)
        _log.info("stopped")
        return 0

    def _told_to_stop(self) -> None:
        if self._stopping.is_set():
            # Told twice: somebody is in a hurry, and what was answered is on the disk already.
            for place in self._places:
                place.kill()
            os._exit(listening.ENDED_BY_SIGNAL)
        self._stopping.set()

    def _reserved(self, kept: contextlib.ExitStack) -> dict[str, str]:
        """The addresses, their ports known and kept for as long as this process lives."""
        addresses = {}
        for name in ("grpc", "rest"):
            # Bound and never listening: it gets no connection, and nobody else gets the port while a process restarts.
            listener: socket.socket = kept.enter_context(
                listening.bound(name, getattr(self._settings, name), shared=True)
            )
            addresses[name] = listening.with_port(getattr(self._settings, name), listener.getsockname()[1])
        return addresses

    async def _all_ready(self, keeping: list[asyncio.Task[None]]) -> bool:
        """Wait until every process serves; false when the signal comes first. Raises what a process ends all with."""
        waiting = asyncio.create_task(_each(place.ready for place in self._places))
        stopping = asyncio.create_task(self._stopping.wait())
        await _first(waiting, stopping, *keeping)
        stopping.cancel()
        if not waiting.cancel():
            return True
        for task in keeping:
            if task.done():
                task.result()
        return False


class _Place:
    """One process, and the one after it when it dies."""

    def __init__(self, number: int, settings: Settings) -> None:
        self._number = number
        self._settings = settings
        self._process: SpawnProcess | None = None
        self.ready = asyncio.Event()

    async def keep(self, stopping: asyncio.Event) -> None:
        """Have a process here until all stop. Raises SettingsError when it cannot serve at all."""
        wait = FIRST_WAIT
        while not stopping.is_set():
            began = monotonic()
            await self._live(stopping)
            if stopping.is_set():
                return
            wait = FIRST_WAIT if monotonic() - began > HEALTHY_AFTER else min(2 * wait, LONGEST_WAIT)
            code = None if self._process is None else self._process.exitcode
            _log.error("a process died", process=self._number, code=code, next_in=wait)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), wait)

    async def _live(self, stopping: asyncio.Event) -> None:
        """The life of one process, from its start to its end."""
        ours, theirs = _spawning.Pipe()
        self._process = process = _spawning.Process(
            target=serve, args=(self._settings, theirs), name=f"jobyard-{self._number}"
        )
        process.start()
        theirs.close()
        told = asyncio.create_task(stopping.wait())
        with contextlib.closing(ours), _readable(process.sentinel) as ended:
            with _readable(ours.fileno()) as said:
                await _first(said, ended, told)
            self._hear(ours)
            await _first(ended, told)
            told.cancel()
            if not ended.done():
                await self._stop(process, ended)
        # Reaped, so that its exit code is known: it ends a moment after its descriptors are closed.
        await asyncio.to_thread(process.join)

    def _hear(self, ours: Connection) -> None:
        """Take the word of a process that started. One that never could serve ends everything."""
        with contextlib.suppress(EOFError):
            word = ours.recv() if ours.poll() else None
            if isinstance(word, Refused) and not self.ready.is_set():
                raise SettingsError(word.problem)
            if isinstance(word, Ready):
                self.ready.set()

    async def _stop(self, process: SpawnProcess, ended: asyncio.Future[None]) -> None:
        process.terminate()
        try:
            await asyncio.wait_for(ended, self._settings.drain_seconds + LEFT_TO_STOP)
        except TimeoutError:
            _log.error("a process did not stop in time", process=self._number)
            process.kill()

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()


def _for_place(settings: Settings, number: int) -> Settings:
    """The settings of one process: what there is once is the first one's."""
    update: dict[str, object] = {"dev_worker": settings.dev_worker and number == 0}
    if settings.metrics is not None:
        host, _, port = settings.metrics.rpartition(":")
        update["metrics"] = f"{host}:{int(port) + number if int(port) else 0}"
    return settings.model_copy(update=update)


async def _each(events: Iterable[asyncio.Event]) -> None:
    for event in events:
        await event.wait()


async def _first(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


@contextlib.contextmanager
def _readable(descriptor: int) -> Iterator[asyncio.Future[None]]:
    """Done when there is something to read, or nothing will come any more."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def look() -> None:
        loop.remove_reader(descriptor)
        future.set_result(None)

    loop.add_reader(descriptor, look)
    try:
        yield future
    finally:
        loop.remove_reader(descriptor)
