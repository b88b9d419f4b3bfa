"""As much of Keystone's third version as a question about a token needs; `make keystone` has the real one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SERVICE_TOKEN = "token-of-the-service-user"


class Handler(BaseHTTPRequestHandler):
    """Lets the service user in, and answers about tokens."""

    server: Server

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def answer(self, status: int, body: Any, **headers: str) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        password = said["auth"]["identity"].get("password", {}).get("user", {}).get("password")
        if password != self.server.password:
            self.answer(401, {"error": {"message": "no", "code": 401}})
            return
        token = {"methods": ["password"], "user": {"id": "s"}, "expires_at": "2099-01-01T00:00:00Z", "catalog": []}
        self.answer(201, {"token": token}, X_Subject_Token=SERVICE_TOKEN)

    def do_GET(self) -> None:
        token = self.headers.get("X-Subject-Token")
        if token is None:
            where = f"http://localhost:{self.server.server_port}/v3/"
            version = {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": where}]}
            self.answer(200, {"version": version})
        elif self.headers.get("X-Auth-Token") != SERVICE_TOKEN:
            self.answer(401, {})
        else:
            self.answer(*self.server.answers.get(token, (404, {})))


class Server(ThreadingHTTPServer):
    """What it knows."""

    password: str
    answers: Mapping[str, tuple[int, Any]]


@contextmanager
def simulation(password: str, answers: Mapping[str, tuple[int, Any]]) -> Iterator[str]:
    """Where it is served; `answers` are by token, any other one is not known."""
    with Server(("localhost", 0), Handler) as server:
        server.password, server.answers = password, answers
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/v3"
        server.shutdown()
