"""Runs real server and worker processes for the tests that need them."""

from __future__ import annotations

import atexit
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from support.command import JOBYARD, environment
from support.databases import new_database, rows_of
from support.ports import free_port

READY_SECONDS = 120.0


class Program:
    """A program of the console command, its output kept in a file."""

    def __init__(self, folder: Path, name: str, *arguments: str, **settings: str) -> None:
        self.log = folder / f"{name}.log"
        self.arguments = arguments
        self.settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "not started"
        return self._process

    def start(self) -> Self:
        """Start it, in a process group of its own."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [JOBYARD, *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(**self.settings),
                start_new_session=True,
            )
        atexit.register(self._process.kill)  # a failed test leaves nothing running
        return self

    def signal(self, number: signal.Signals) -> None:
        """Signal the program alone, not what it runs."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """`kill -9`, as a crash would."""
        self.process.kill()
        self.process.wait()

    def stop(self, seconds: float = 60.0) -> int:
        """Ask it to end, and return its exit code."""
        if self._process is None or self.process.poll() is not None:
            return 0 if self._process is None else self.process.returncode
        self.process.terminate()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not end within {seconds} s:\n{self.text()}") from None

    def text(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.stop()
        elif self._process is not None and self.process.poll() is None:
            self.kill()


class Server(Program):
    """A server on a database of its own, on ports of its own that stay the same over restarts.

    The database is a file in `folder`, or what `database` names: a replica shares the one of another server.
    """

    def __init__(
        self, folder: Path, *arguments: str, name: str = "server", database: str | None = None, **settings: str
    ) -> None:
        self.folder = folder
        self.database = database or new_database(folder / "jobyard.db")
        self.grpc = f"127.0.0.1:{free_port()}"
        self.rest = f"127.0.0.1:{free_port()}"
        serve = ("serve", "--database", self.database, "--grpc", self.grpc, "--rest", self.rest)
        super().__init__(folder, name, *serve, *arguments, **settings)

    @property
    def url(self) -> str:
        """Where REST is served."""
        return f"http://{self.rest}"

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """What a query finds in the database."""
        return rows_of(self.database, sql)

    def whole(self) -> bool:
        """Whether the database finds nothing wrong with itself."""
        return not self.database.startswith("sqlite") or self.rows("PRAGMA integrity_check") == [("ok",)]

    def start(self) -> Self:
        """Start it and return when it is ready."""
        super().start()
        self.wait_until_ready()
        return self

    def wait_until_ready(self, seconds: float = READY_SECONDS) -> float:
        """Return how long it took until `/readyz` answered 200."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode}:\n{self.text()}")
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=10) as answer:
                    if answer.status == 200:
                        return time.monotonic() - began
            except (urllib.error.URLError, OSError):
                pass
            time.sleep(0.02)
        raise AssertionError(f"not ready within {seconds} s:\n{self.text()}")


class Worker(Program):
    """A worker process of one queue."""

    def __init__(
        self, server: Server, queue: str, command: str, *arguments: str, name: str = "worker", **settings: str
    ) -> None:
        work = ("worker", "--server", server.grpc, "--queue", queue, "--exec", command)
        super().__init__(server.folder, name, *work, *arguments, **settings)

    def wait_until_working(self, seconds: float = READY_SECONDS) -> None:
        """Return when it has started and asks for work."""
        until = time.monotonic() + seconds
        while " serves " not in self.text():
            assert time.monotonic() < until, f"not working within {seconds} s:\n{self.text()}"
            time.sleep(0.05)
