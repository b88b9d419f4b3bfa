"""A running server with a clock that is set by hand, and everything a vector does to it."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from jobyard_server.callers.token_file import digest, new_token
from support.clocks import SetClock
from support.command import environment
from support.running import Server, Worker

PATIENCE = 60.0
CALM = 0.4
"""Seconds in which the engine looks several times at what is due."""
START = "2026-01-15T10:00:30Z"
CALLERS = {("p1", ("admin",)): new_token()}


@dataclass(frozen=True)
class Answer:
    """An answer over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Field:
    """The server under test, an executor that succeeds at once, and a hand that plants what is given."""

    def __init__(self, folder: Path, library: str) -> None:
        self.folder = folder
        self.clock = SetClock(folder, library)
        self.tokens = folder / "tokens.yaml"
        rows = [
            {"name": f"{tenant}-{'-'.join(roles)}", "sha256": digest(token), "user": "ann", "tenant": tenant,
             "roles": list(roles)}
            for (tenant, roles), token in CALLERS.items()
        ]  # fmt: skip
        self.tokens.write_text(yaml.safe_dump(rows))
        settings = {
            "JOBYARD_AUTH_TOKENS": str(self.tokens),
            "JOBYARD_AUTH_ANONYMOUS_ROLES": "admin",
            "JOBYARD_SCHEDULE_CHECK_SECONDS": "0.05",
            "JOBYARD_RETENTION_SECONDS": "3e9",
            "JOBYARD_PROFILES": "qinling-put-200",
        }
        self.server = Server(folder, **self.clock.settings, **settings)
        self.worker = Worker(self.server, "qinling/python", "/bin/true")

    def start(self) -> None:
        self.set_clock(START)
        self.server.start()
        self.worker.start()
        planter = Path(__file__).with_name("planter.py")
        self.planter = subprocess.Popen(
            [sys.executable, str(planter), self.server.database],
            env=environment(**self.clock.settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._hear("ready")

    def stop(self) -> None:
        self.planter.communicate(timeout=PATIENCE)
        self.worker.stop()
        assert self.server.stop() == 0

    def set_clock(self, text: str) -> None:
        """Let every clock of the server show a time from now on."""
        self.clock.show(datetime.fromisoformat(text))

    def plant(self, given: Mapping[str, Any]) -> None:
        """Set the clock, and write what is given."""
        self.set_clock(given["now"])
        self._say({key: given[key] for key in ("functions", "aliases", "jobs") if key in given})

    def clear(self) -> None:
        """Take everything away."""
        self._say({"clear": True})

    def _say(self, said: Mapping[str, Any]) -> None:
        assert self.planter.stdin
        self.planter.stdin.write(json.dumps(said) + "\n")
        self.planter.stdin.flush()
        self._hear("done")

    def _hear(self, word: str) -> None:
        assert self.planter.stdout
        heard = self.planter.stdout.readline().strip()
        assert heard == word, f"the planter said {heard!r}"

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request."""
        connection = http.client.HTTPConnection(self.server.rest, timeout=PATIENCE)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status == 200, answer.body
        return answer.json

    def tick(self, at: str) -> None:
        """Let a time come, and what is due then."""
        self.set_clock(at)
        time.sleep(CALM)
