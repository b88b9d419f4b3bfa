"""Producers, consumers and an authorization agent that tests control: one HTTP server that remembers every call."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

PATIENCE = 60.0
_PRODUCER = re.compile(r"/prod/(ok|err)/([^/]+)/(jobs|health)(?:/.*)?\Z")


@dataclass(frozen=True)
class Heard:
    """A call as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Rounds:
    """Lets supervision pass one round at a time, so that tests decide when a round happens."""

    free: bool = False
    asked: dict[str, int] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    allowed: dict[str, int] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def pass_through(self, producer: str) -> bool:
        """Wait for a round to be allowed; whether it was."""
        with self.changed:
            self.asked[producer] = self.asked.get(producer, 0) + 1
            self.waiting.add(producer)
            self.changed.notify_all()
            allowed = self.changed.wait_for(lambda: self.free or self.allowed.get(producer, 0) > 0, timeout=60)
            self.waiting.discard(producer)
            if allowed and not self.free:
                self.allowed[producer] -= 1
            self.changed.notify_all()
            return allowed

    def let_go(self) -> None:
        """Let every round happen from now on."""
        with self.changed:
            self.free = True
            self.changed.notify_all()

    def run(self, producers: set[str]) -> dict[str, int]:
        """Let every producer be asked once; how often each had been asked before."""
        with self.changed:
            assert self.changed.wait_for(lambda: producers <= self.waiting, timeout=PATIENCE), producers - self.waiting
            before = {producer: self.asked[producer] for producer in producers}
            for producer in producers:
                self.allowed[producer] = self.allowed.get(producer, 0) + 1
            self.changed.notify_all()
            return before

    def asked_again(self, before: Mapping[str, int], producers: set[str]) -> bool:
        """Whether producers are being asked once more."""
        with self.changed:
            return all(self.asked[one] > before[one] and one in self.waiting for one in producers)


class Simulator:
    """The peers of a server, on loopback."""

    def __init__(self) -> None:
        self.calls: list[Heard] = []
        self.statuses: dict[tuple[str, str], int] = {}
        self.delays: dict[str, float] = {}
        self.agent_allows = True
        self.rounds = Rounds()
        self._lock = threading.Lock()
        simulator = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                heard = Heard(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                status, text = simulator.behave(heard)
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:  # quiet
                pass

        for method in ("GET", "POST", "PUT", "DELETE"):
            setattr(Handler, f"do_{method}", Handler.answer)

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: object, client_address: object) -> None:
                pass  # the server under test may be killed in the middle of a call

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.reset()
        self._server.shutdown()
        self._server.server_close()

    def drop_unread(self) -> None:
        """Close the connections that wait to be accepted, before the server answers any."""
        listener = self._server.socket
        listener.setblocking(False)
        try:
            while True:
                listener.accept()[0].close()
        except BlockingIOError:
            listener.setblocking(True)

    def reset(self) -> None:
        """Forget everything, and let go of whoever waits."""
        self.rounds.let_go()
        self.rounds = Rounds()
        with self._lock:
            self.calls.clear()
        self.statuses.clear()
        self.delays.clear()
        self.agent_allows = True

    def become_agent(self, *, allows: bool) -> None:
        """From now on allow everything or nothing, and count anew how often that was asked."""
        with self._lock:
            self.agent_allows = allows
            self.calls[:] = [heard for heard in self.calls if not heard.path.startswith("/authz/")]

    def behave(self, heard: Heard) -> tuple[int, bytes]:
        """What is answered to a call."""
        found = _PRODUCER.match(heard.path)
        if found is None:
            self._remember(heard)
            if heard.path == "/cons/JUNK":
                return 404, b""
            if heard.path.startswith("/authz/"):
                return 200, b'{"result":true}' if self.agent_allows else b'{"result":false}'
            return 200, b""
        usual = 200 if found[1] == "ok" else 404
        if found[3] == "health":
            if not self.rounds.pass_through(found[2]):
                return 503, b""
            self._remember(heard)
            return self.statuses.get((found[2], "health"), usual), b""
        self._remember(heard)
        time.sleep(self.delays.get(found[2], 0.0))
        return (self.statuses.get((found[2], "jobs"), usual) if heard.method == "POST" else usual), b""

    def heard(self, method: str, path: str) -> list[Heard]:
        """The calls of a method to a path; a star at its end stands for anything."""
        with self._lock:
            calls = list(self.calls)
        if path.endswith("*"):
            return [one for one in calls if one.method == method and one.path.startswith(path[:-1])]
        return [one for one in calls if one.method == method and one.path == path]

    def _remember(self, heard: Heard) -> None:
        with self._lock:
            self.calls.append(heard)
