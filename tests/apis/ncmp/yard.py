"""A server that plays NCMP, and how tests talk to it."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from support.running import Server

SETTINGS = {
    "JOBYARD_OUTBOUND_ALLOW": "127.0.0.0/8",
    "JOBYARD_LOG_CALLS": "false",
    "JOBYARD_DMI_POLL_SECONDS": "0.05",
    "JOBYARD_DMI_LONGEST_POLL_SECONDS": "0.2",
    "JOBYARD_DELIVERY_CHECK_SECONDS": "0.05",
}
METADATA = {"destination": "d1", "dataAcceptType": "some-accept", "dataContentType": "some-content"}


@dataclass(frozen=True)
class Answer:
    """What the server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Yard:
    """One server. Jobs have other names in every test, and targets are removed behind each."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.server = Server(folder, **(SETTINGS | settings))
        self.mark = ""
        self.targets: set[str] = set()

    def name(self, job: str) -> str:
        """What a job of this test is called."""
        return f"{job}{self.mark}"

    def begin(self, mark: str) -> None:
        """Begin a test."""
        self.mark = mark
        if self.targets:
            assert self.ask("POST", "/ncmpInventory/v1/ch", {"removedCmHandles": sorted(self.targets)}).status == 200
            self.targets.clear()

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request; bytes go as they are."""
        host, _, port = self.server.rest.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        target = f"{path}?{urlencode(query)}" if query else path
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        said = ({"Content-Type": "application/json"} if sent is not None else {}) | dict(headers or {})
        try:
            connection.request(method, target, sent, said)
            found = connection.getresponse()
            names = {name.lower() for name, _ in found.getheaders()}
            return Answer(
                found.status, {name: ", ".join(found.headers.get_all(name, ())) for name in names}, found.read()
            )
        finally:
            connection.close()

    def memory(self) -> float:
        """MiB that the server has used at most since this was asked last."""
        folder = Path(f"/proc/{self.server.process.pid}")
        peak = next(line for line in (folder / "status").read_text().splitlines() if line.startswith("VmHWM"))
        (folder / "clear_refs").write_text("5")
        return int(peak.split()[1]) / 1024

    def register(self, dmi: str, *targets: Mapping[str, Any], **fields: Any) -> Answer:
        """Register targets of a DMI service."""
        answer = self.ask("POST", "/ncmpInventory/v1/ch", {"dmiPlugin": dmi, "createdCmHandles": targets, **fields})
        if answer.status == 200:
            self.targets.update(one["cmHandle"] for one in targets)
        return answer

    def write(self, name: str, *operations: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Answer:
        """Hand a write job in."""
        body = {"dataJobMetadata": METADATA, "dataJobWriteRequest": {"data": operations}}
        return self.ask("POST", f"/do-not-use/dataJobs/{self.name(name)}/write", body, headers=headers)

    def job(self, name: str) -> Any:
        """A job, as rApps see it."""
        answer = self.ask("GET", f"/ranoam/cm/v1/dataJob/{self.name(name)}")
        assert answer.status == 200, answer
        return answer.json

    def part(self, name: str, part: str, what: str, **query: str) -> Answer:
        """The status or the result of a part of a job."""
        return self.ask("GET", f"/do-not-use/dataJobs/{self.name(name)}/dataProducerJob/{part}/{what}", query=query)

    def until(self, name: str, status: str, seconds: float = 60.0) -> Any:
        """A job, once it stands so."""
        return eventually(lambda: (found := self.job(name))["status"] == status and found, seconds)


def target(id_: str, alternate_id: str = "", producer: str = "", **fields: Any) -> dict[str, Any]:
    """A target to register."""
    return {"cmHandle": id_, "alternateId": alternate_id, "dataProducerIdentifier": producer, **fields}


def operation(path: str, op: str = "add", **fields: Any) -> dict[str, Any]:
    """A write operation."""
    return {"path": path, "op": op, "operationId": "1", "value": {"key": "some-value"}, **fields}


def eventually(found: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What is found, once something is."""
    end = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return result
