"""What processes on one PostgreSQL database tell each other: that something may be ready, or that events were written.

It is a hint and no more: it goes beside the transactions, at most twenty times a second, for a notice in every
transaction would halve their rate. What is lost is found by looking.
"""

from __future__ import annotations

import os
import select
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import orjson
import psycopg
import structlog
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobyard_server.store.database import Heard

CHANNEL: Final = "jobyard"
PERIOD: Final = 0.05
AGAIN_SECONDS: Final = 1.0
"""How soon a lost connection is made again."""
MOST_BYTES: Final = 7_000
"""A longer notice says that anything may have happened."""

_log = structlog.get_logger(__name__)


class Notices(threading.Thread):
    """One thread with one connection, which sends what is to be told and hears what others tell."""

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]], heard: Heard) -> None:
        super().__init__(name="store-notices", daemon=True)
        self._connect = connect
        self._heard = heard
        self._lock = threading.Lock()
        self._queues: set[str] = set()
        self._changed = False
        self._going = True
        self._inbox, self._bell = os.pipe()
        os.set_blocking(self._bell, False)

    def tell(self, queues: set[str], *, changed: bool) -> None:
        """Tell others; never waits."""
        with self._lock:
            quiet = not self._queues and not self._changed
            self._queues |= queues
            self._changed |= changed
        if quiet:
            self._ring()

    def stop(self) -> None:
        """End the thread."""
        self._going = False
        self._ring()
        self.join()
        os.close(self._inbox)
        os.close(self._bell)

    def _ring(self) -> None:
        with suppress(BlockingIOError):
            os.write(self._bell, b"!")

    @override
    def run(self) -> None:
        """The thread."""
        again = False
        while self._going:
            try:
                with self._connect() as connection:
                    connection.add_notify_handler(self._hear)
                    self._own = connection.info.backend_pid
                    connection.execute(f"LISTEN {CHANNEL}")
                    if again:
                        # What was told while nobody listened is lost.
                        self._heard(None, True)
                    again = True
                    self._serve(connection)
            except (psycopg.Error, OSError) as error:
                _log.warning("notices_lost", error=str(error))
                self._wait(None, AGAIN_SECONDS)

    def _serve(self, connection: psycopg.Connection[Any]) -> None:
        sent = 0.0
        while self._going:
            if not (self._queues or self._changed):
                self._wait(connection, None)
            connection.pgconn.consume_input()
            while (notice := connection.pgconn.notifies()) is not None:
                self._read(notice.be_pid, notice.extra.decode())
            if self._queues or self._changed:
                time.sleep(max(0.0, sent + PERIOD - time.monotonic()))
                sent = time.monotonic()
                connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, self._said()))

    def _wait(self, connection: psycopg.Connection[Any] | None, seconds: float | None) -> None:
        """Wait for something to send or to hear."""
        places = [self._inbox] if connection is None else [self._inbox, connection.fileno()]
        readable, _, _ = select.select(places, [], [], seconds)
        if self._inbox in readable:
            os.read(self._inbox, 4096)

    def _said(self) -> str:
        with self._lock:
            queues, changed = self._queues, self._changed
            self._queues, self._changed = set(), False
        text = orjson.dumps([sorted(queues), changed]).decode()
        return text if len(text.encode()) <= MOST_BYTES else "[null,true]"

    def _hear(self, notice: psycopg.Notify) -> None:
        self._read(notice.pid, notice.payload)

    def _read(self, sender: int, payload: str) -> None:
        if sender == self._own:
            return
        try:
            queues, changed = orjson.loads(payload)
        except (orjson.JSONDecodeError, ValueError):
            queues, changed = None, True
        self._heard(None if queues is None else set(queues), bool(changed))
