"""Runs a real Keystone on SQLite, and asks it for users and tokens as an administrator of OpenStack would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

from support.ports import free_port

PASSWORD = "keystone's first password"
DOMAIN = {"id": "default"}
CONFIG = """
[database]
connection = sqlite:///{folder}/keystone.db
[token]
expiration = {seconds}
[fernet_tokens]
key_repository = {folder}/keys
[fernet_receipts]
key_repository = {folder}/keys
[cache]
enabled = false
"""
SERVE = """
from werkzeug.serving import run_simple
from keystone.wsgi.api import application
run_simple("localhost", {port}, application, threaded=True)
"""


class Keystone:
    """One Keystone with an administrator; started when it is entered, and again when it is entered again."""

    def __init__(self, folder: Path, environment: str, seconds: int = 3600) -> None:
        self.port = free_port()
        self.url = f"http://localhost:{self.port}/v3"
        self.log = folder / "keystone.log"
        self._bin = Path(environment) / "bin"
        self._folder = folder
        (folder / "keys").mkdir(parents=True)
        (folder / "keystone.conf").write_text(CONFIG.format(folder=folder, seconds=seconds))
        self._manage("db_sync")
        self._manage("fernet_setup", "--keystone-user", str(os.getuid()), "--keystone-group", str(os.getgid()))
        self._manage("bootstrap", "--bootstrap-password", PASSWORD)
        self._admin = ""

    def __enter__(self) -> Self:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self._bin / "python", "-W", "ignore", "-c", SERVE.format(port=self.port)],
                stdout=log,
                stderr=log,
                env={**os.environ, "OS_KEYSTONE_CONFIG_FILES": str(self._folder / "keystone.conf")},
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)
        return self

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(self.url, timeout=10).close()
        except OSError:
            return False
        return True

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def token(self, user: str, password: str, project: str | None) -> str:
        """A token as a client would get one."""
        scope = {} if project is None else {"scope": {"project": {"name": project, "domain": DOMAIN}}}
        who = {"user": {"name": user, "domain": DOMAIN, "password": password}}
        body = {"auth": {"identity": {"methods": ["password"], "password": who}, **scope}}
        return self._call("POST", "/auth/tokens", body)[0]["X-Subject-Token"]

    def revoke(self, token: str) -> None:
        """End a token before its time."""
        self._call("DELETE", "/auth/tokens", None, {"X-Subject-Token": token, **self._as_admin()})

    def project(self, name: str) -> str:
        """Make a project; its id."""
        body = {"project": {"name": name, "domain_id": "default"}}
        made: str = self._call("POST", "/projects", body, self._as_admin())[1]["project"]["id"]
        return made

    def user(self, name: str, password: str, project: str, role: str) -> str:
        """Make a user with a role in a project, whose id is given; its id."""
        body = {"user": {"name": name, "password": password, "domain_id": "default"}}
        made: str = self._call("POST", "/users", body, self._as_admin())[1]["user"]["id"]
        roles = self._call("GET", f"/roles?name={role}", None, self._as_admin())[1]["roles"]
        if not roles:
            roles = [self._call("POST", "/roles", {"role": {"name": role}}, self._as_admin())[1]["role"]]
        self._call("PUT", f"/projects/{project}/users/{made}/roles/{roles[0]['id']}", None, self._as_admin())
        return made

    def _as_admin(self) -> dict[str, str]:
        self._admin = self._admin or self.token("admin", PASSWORD, "admin")
        return {"X-Auth-Token": self._admin}

    def _manage(self, *arguments: str) -> None:
        command = [self._bin / "keystone-manage", "--config-file", self._folder / "keystone.conf", *arguments]
        with self.log.open("ab") as log:
            subprocess.run(command, check=True, stdout=log, stderr=log)

    def _call(
        self, verb: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[dict[str, str], Any]:
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, content, {"Content-Type": "application/json", **(headers or {})}, method=verb
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
            return dict(answer.headers), json.loads(text) if text else None
