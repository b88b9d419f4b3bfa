"""DMI services that tests control: HTTP servers that remember every call and answer as they are told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Heard:
    """A call as it came."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def segments(self) -> list[str]:
        return [unquote(one) for one in self.path.split("/")[1:]]

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answered = tuple[int, bytes]


class Dmi:
    """One DMI service on loopback."""

    def __init__(self, port: int = 0) -> None:
        self.calls: list[Heard] = []
        self.lock = threading.Lock()
        self.made = 0
        self.withheld = 0
        """Bytes of each body that are promised and never sent: the connection breaks."""
        self.created: Callable[[Heard], Answered] = self.number
        self.status: Callable[[Heard], Answered] = lambda _: (200, b'{"status":"RUNNING"}')
        self.result: Callable[[Heard], Answered] = lambda _: (200, b'{"result":"some status"}')
        dmi = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, text = dmi.behave(Heard(self.command, self.path, headers, body))
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text) + dmi.withheld))
                self.end_headers()
                self.wfile.write(text)
                self.close_connection |= dmi.withheld > 0

            def log_message(self, *_: object) -> None:  # quiet
                pass

        for method in ("DELETE", "GET", "POST"):
            setattr(Handler, f"do_{method}", Handler.answer)

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                pass  # the server under test may be killed in the middle of a call

        self._server = Server(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def behave(self, heard: Heard) -> Answered:
        with self.lock:
            self.calls.append(heard)
        if heard.method == "POST":
            return self.created(heard)
        if heard.method == "DELETE":
            return 404, b""
        return self.status(heard) if heard.path.endswith("/status") else self.result(heard)

    def number(self, _: Heard) -> Answered:
        """Number what is created, as the stub of the original does."""
        with self.lock:
            self.made += 1
            return 200, json.dumps({"subJobId": str(self.made)}).encode()

    def heard(self, method: str, last: str = "") -> list[Heard]:
        with self.lock:
            return [one for one in self.calls if one.method == method and one.path.endswith(last)]
