"""A running server with the providers of the vectors, and requests to it over HTTP."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.command import JOBYARD, environment
from support.running import Server

ROOT = Path(__file__).parents[3]
PROVIDERS = ROOT / "examples" / "viya" / "providers.yaml"
JOBS = "/jobExecution/jobs"
REQUESTS = "/jobExecution/jobRequests"
DEFINITIONS = "/jobDefinitions/definitions"
PATIENCE = 60.0
INLINE = {"name": "inline", "type": "Compute", "code": "run;"}


@dataclass(frozen=True)
class Answer:
    """An answer over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Yard:
    """The server under test."""

    def __init__(self, folder: Path, *arguments: str, **settings: str) -> None:
        self.folder = folder
        self.server = Server(folder, *arguments, **settings)

    def start(self) -> None:
        self.server.start()
        self.apply(PROVIDERS)

    def stop(self) -> None:
        assert self.server.stop() == 0

    def apply(self, file: Path) -> None:
        """Load a file as an operator does."""
        done = subprocess.run(
            [JOBYARD, "apply", "--server", self.server.grpc, "--file", str(file)],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def ask(
        self,
        method: str,
        target: str,
        *,
        body: Any = None,
        text: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request over a connection of its own; ``body`` is sent as JSON."""
        sent = dict(headers or {})
        raw = None if text is None else text.encode()
        if body is not None:
            raw = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection(self.server.rest, timeout=PATIENCE)
        try:
            connection.request(method, target, raw, sent)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def submit(self, definition: Mapping[str, Any] | None = None, **members: Any) -> Any:
        """Submit a job; its representation."""
        answer = self.ask("POST", JOBS, body={"jobDefinition": {**INLINE, **(definition or {})}, **members})
        assert answer.status == 201, answer.body
        return answer.json

    def job(self, id_: str) -> Any:
        answer = self.ask("GET", f"{JOBS}/{id_}")
        assert answer.status == 200, answer.body
        return answer.json

    def set_state(self, id_: str, word: str) -> Answer:
        return self.ask("PUT", f"{JOBS}/{id_}/state?value={word}")

    def until(self, id_: str, holds: Callable[[Any], bool], seconds: float = PATIENCE) -> Any:
        """The job as soon as something holds for it."""
        deadline = time.monotonic() + seconds
        while True:
            job = self.job(id_)
            if holds(job):
                return job
            assert time.monotonic() < deadline, job
            time.sleep(0.05)
