"""A server that speaks information jobs, its peers, and how tests talk to it."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from apis.infojobs.simulator import Simulator
from support.running import Server

SCHEMA = {
    "$schema": "http://json-schema.org/draft-04/schema#",
    "type": "object",
    "properties": {"property1": {"type": "string"}},
    "required": ["property1"],
}
SETTINGS = {
    "JOBYARD_OUTBOUND_ALLOW": "127.0.0.0/8",
    "JOBYARD_SUPERVISION_SECONDS": "0.2",
    "JOBYARD_LOG_CALLS": "false",
    "JOBYARD_LOG_CHANGES": "false",
    # Peers answer before a call does, however busy the machine is.
    "JOBYARD_DELIVERY_WAIT_SECONDS": "30",
    # A round of supervision lasts as long as the test holds it back.
    "JOBYARD_DELIVERY_POLICIES": '{"infojobs.supervise": {"timeout": 60}}',
}


@dataclass(frozen=True)
class Answer:
    """What the server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float
    """How long it took."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0]


class Yard:
    """One server and its peers."""

    def __init__(self, folder: Path, simulator: Simulator, **settings: str) -> None:
        self.simulator = simulator
        self.usual = SETTINGS | settings
        self.server = Server(folder, **self.usual)

    def stop(self) -> None:
        """End the server, which waits for the calls it makes: none of them is held back any more."""
        self.simulator.rounds.let_go()
        self.server.stop()
        self.simulator.reset()

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        """Send a request."""
        host, _, port = self.server.rest.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        target = f"{path}?{urlencode(query)}" if query else path
        sent = raw if raw is not None else None if body is None else json.dumps(body).encode()
        said = ({"Content-Type": "application/json"} if sent is not None else {}) | dict(headers or {})
        began = time.monotonic()
        try:
            connection.request(method, target, sent, said)
            found = connection.getresponse()
            body_, headers_ = found.read(), {name.lower(): value for name, value in found.getheaders()}
            return Answer(found.status, headers_, body_, time.monotonic() - began)
        finally:
            connection.close()

    def put_type(self, id_: str, schema: Any = None) -> Answer:
        return self.ask("PUT", f"/data-producer/v1/info-types/{id_}", {"info_job_data_schema": schema or SCHEMA})

    def put_producer(self, id_: str, *types: str, kind: str = "ok", url: str = "") -> Answer:
        base = f"{url or self.simulator.url}/prod/{kind}/{id_}"
        body = {
            "supported_info_types": list(types),
            "info_job_callback_url": f"{base}/jobs",
            "info_producer_supervision_callback_url": f"{base}/health",
        }
        return self.ask("PUT", f"/data-producer/v1/info-producers/{id_}", body)

    def put_job(self, id_: str, type_: str, value: str = "x", *, owner: str = "owner") -> Answer:
        body = {
            "info_type_id": type_,
            "job_result_uri": "https://junk.example",
            "job_owner": owner,
            "status_notification_uri": f"{self.simulator.url}/cons/jobs/{id_}/status",
            "job_definition": {"property1": value},
        }
        return self.ask("PUT", f"/data-consumer/v1/info-jobs/{id_}", body)

    def status(self, id_: str) -> Any:
        return self.ask("GET", f"/data-consumer/v1/info-jobs/{id_}/status").json

    def run_supervision(self) -> None:
        """Let one round of supervision happen, and wait for what follows from it."""
        asked = self.simulator.rounds.run(self._producers())
        eventually(lambda: self._asked_again(asked))

    def _producers(self) -> set[str]:
        return set(self.ask("GET", "/data-producer/v1/info-producers").json)

    def _asked_again(self, asked: Mapping[str, int]) -> None:
        """Every producer is asked again or has been forgotten, and who is concerned has been told once at least."""
        waiting = self._producers() & asked.keys()
        assert self.simulator.rounds.asked_again(asked, waiting), waiting
        ((owed,),) = self.server.rows(
            "SELECT count(*) FROM deliveries "
            "WHERE kind <> 'supervise' AND attempts = 0 AND state IN ('READY', 'SENDING')"
        )
        assert owed == 0, owed

    def empty(self) -> None:
        """Remove everything there is, and forget what was said about it."""
        if self.server.settings != self.usual:
            self.restart()
        self.simulator.rounds.let_go()
        self.simulator.agent_allows = True
        for path in (
            "/data-consumer/v1/info-type-subscription",
            "/data-consumer/v1/info-jobs",
            "/data-producer/v1/info-producers",
            "/data-producer/v1/info-types",
        ):
            for id_ in self.ask("GET", path).json:
                assert self.ask("DELETE", f"{path}/{id_}").status == 204
        eventually(self._idle)
        self.simulator.reset()

    def _idle(self) -> None:
        """Nothing is owed any more."""
        ((owed,),) = self.server.rows("SELECT count(*) FROM deliveries WHERE state IN ('WAITING', 'READY', 'SENDING')")
        assert owed == 0, owed

    def restart(self, **settings: str) -> None:
        """Stop the server and start it again on what it kept; with other settings than usual until it is emptied."""
        self.simulator.rounds.let_go()
        self.server.stop()
        self.simulator.rounds.free = False
        self.server.settings = self.usual | settings
        self.server.start()


def eventually(check: Callable[[], None], seconds: float = 60.0) -> None:
    """Return when a check passes; its own failure when it does not in time."""
    until = time.monotonic() + seconds
    while True:
        try:
            check()
        except (AssertionError, KeyError, ValueError):
            if time.monotonic() > until:
                raise
            time.sleep(0.03)
        else:
            return
