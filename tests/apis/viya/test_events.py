"""Events of jobs: whoever ends one, state changes are told with the routing key of their applications."""

from __future__ import annotations

import json
import shlex
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from apis.viya.yard import JOBS, Yard
from support.running import Worker


class Receiver(BaseHTTPRequestHandler):
    """Keeps the routing key of every call."""

    keys: ClassVar[list[tuple[str, str]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.keys.append((body["event"]["type"], self.headers.get("ce-routingkey", "")))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def told(tmp_path) -> Iterator[Yard]:
    receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=receiver.serve_forever)
    thread.start()
    yard = Yard(tmp_path, JOBYARD_OUTBOUND_ALLOW="127.0.0.0/8")
    yard.start()
    webhook = {"url": f"http://127.0.0.1:{receiver.server_port}/", "filter": "api = viya"}
    assert yard.ask("PUT", "/jobyard/v1/webhooks/bus", body=webhook).status == 200
    try:
        yield yard
    finally:
        yard.stop()
        receiver.shutdown()
        thread.join()
        receiver.server_close()


def test_state_changes_carry_the_routing_key(told):
    with Worker(told.server, "viya/Compute", f"{shlex.quote(sys.executable)} -"):
        body = {"jobDefinition": {"type": "Compute", "code": "print(1)"}, "createdByApplication": "maker"}
        job = told.ask("POST", f"{JOBS}?submitter=loader", body=body).json
        told.until(job["id"], lambda job: job["state"] == "completed")
    silent = told.submit({"type": "FastBeat"})
    told.until(silent["id"], lambda job: job["state"] == "timedOut")
    wanted = {
        *(f"job.state.maker.loader.{word}" for word in ("pending", "running", "completed")),
        *(f"job.state.jobExecution.jobExecution.{word}" for word in ("pending", "timedOut")),
    }
    deadline = time.monotonic() + 60
    while {key for _, key in Receiver.keys if key} != wanted:
        assert time.monotonic() < deadline, Receiver.keys
        time.sleep(0.1)
    routed = {type_ for type_, key in Receiver.keys if key}
    assert routed == {"EVENT_TYPE_JOB_SUBMITTED", "EVENT_TYPE_JOB_CHANGED"}
