"""A running server with callers of three projects, and the short sentences in which tests talk to it."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import uuid
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from jobyard_server.callers.token_file import digest, new_token
from support.running import Server

PATIENCE = 60.0
CALLERS = {"ann": ("red", "member"), "bob": ("blue", "member"), "eve": ("red", "viewer"), "root": ("white", "admin")}
CODE = "def main(*args, **kwargs):\n    return [args, kwargs]\n"
PYTHON = "2c1f6f0e-93c5-5d39-9d2c-8a5c3b0f7d11"


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
    def fault(self) -> str:
        """What an error says."""
        text: str = self.json["faultstring"]
        return text


class Yard:
    """The server under test."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.tokens = {user: new_token() for user in CALLERS}
        rows = [
            {"name": user, "sha256": digest(self.tokens[user]), "user": user, "tenant": tenant, "roles": [role]}
            for user, (tenant, role) in CALLERS.items()
        ]
        file = folder / "tokens.yaml"
        file.write_text(yaml.safe_dump(rows))
        self.server = Server(folder, JOBYARD_AUTH_TOKENS=str(file), **settings)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        user: str | None = "ann",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request; a body that is no bytes is sent as JSON."""
        sent = {} if user is None else {"X-Auth-Token": self.tokens.get(user, user)}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        return send(self.server, method, path, body, {**sent, **(headers or {})})

    def ok(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """The same, which has to go well; what was answered."""
        answer = self.ask(method, path, body, **more)
        assert answer.status < 300, answer.body
        return answer.json if answer.body else None

    def form(self, method: str, path: str, fields: Mapping[str, str], package: bytes = b"", **more: Any) -> Answer:
        """One form, as requests sends it."""
        body, kind = form_of(fields, package)
        return self.ask(method, path, body, headers=kind, **more)

    def function(self, code: str = CODE, **fields: str) -> dict[str, Any]:
        """A new function."""
        user = fields.pop("user", "ann")
        said = {"runtime_id": PYTHON, "code": '{"source": "package"}', **fields}
        answer = self.form("POST", "/v1/functions", said, packed(code), user=user)
        assert answer.status == 201, answer.body
        found: dict[str, Any] = answer.json
        return found

    def job(self, function: str, user: str = "ann", **members: Any) -> dict[str, Any]:
        """A new job, far away."""
        body = {"function_id": function, "pattern": "0 21 * * *", **members}
        found: dict[str, Any] = self.ok("POST", "/v1/jobs", body, user=user)
        return found


def send(server: Server, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
    """One request over a connection of its own."""
    connection = http.client.HTTPConnection(server.rest, timeout=PATIENCE)
    try:
        # A server that has refused a body need not read the rest of it.
        with contextlib.suppress(BrokenPipeError):
            connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def form_of(fields: Mapping[str, str], package: bytes) -> tuple[bytes, dict[str, str]]:
    """A form as requests sends it: its body and headers."""
    boundary = uuid.uuid4().hex
    lead = f"--{boundary}\r\nContent-Disposition: form-data; name="
    body = "".join(f'{lead}"{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()).encode()
    if package:
        body += f'{lead}"package"; filename="p.zip"\r\n\r\n'.encode() + package + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def packed(code: str, name: str = "main.py") -> bytes:
    """A package with one module."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as package:
        # The same bytes whenever it is made.
        package.writestr(zipfile.ZipInfo(name), code)
    return target.getvalue()
