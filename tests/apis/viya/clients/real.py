"""The real clients against a running server that asks for tokens, with a worker that runs what they submit."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from apis.viya.yard import PROVIDERS
from jobyard_server.callers.token_file import digest, new_token
from support.command import JOBYARD, environment
from support.running import Server, Worker

HERE = Path(__file__).parent
PATIENCE = 120.0
ROLES = {"sasdemo": ["SASUsers"], "operator": ["admin"], "worker": ["worker"]}


class Clients:
    """A server with callers, a worker, and the clients' own environments."""

    def __init__(self, folder: Path, clients: str) -> None:
        self.folder = folder
        self.clients = Path(clients)
        self.tokens = {name: new_token() for name in ROLES}
        rows = [
            {"name": name, "sha256": digest(self.tokens[name]), "user": name, "roles": roles}
            for name, roles in ROLES.items()
        ]
        tokens = folder / "tokens.yaml"
        tokens.write_text(yaml.safe_dump(rows))
        self.server = Server(folder, JOBYARD_AUTH_TOKENS=str(tokens), JOBYARD_HEARTBEAT_SECONDS="0.5")
        command = f"{shlex.quote(sys.executable)} -"
        self.worker = Worker(self.server, "viya/Compute", command, JOBYARD_TOKEN=self.tokens["worker"])

    def start(self) -> None:
        self.server.start()
        subprocess.run(
            [JOBYARD, "apply", "--server", self.server.grpc, "--file", str(PROVIDERS)],
            env=environment(JOBYARD_TOKEN=self.tokens["operator"]),
            timeout=PATIENCE,
            check=True,
        )
        self.worker.start()

    def stop(self) -> None:
        self.worker.stop()
        assert self.server.stop() == 0

    def python(self, program: str) -> Any:
        """Run a program over sasctl; what it tells."""
        return self._run([str(self.clients / "sasctl" / "bin" / "python"), str(HERE / program)])

    def node(self, program: str) -> Any:
        """Run a program over restaf; what it tells."""
        return self._run(["node", str(HERE / program)], NODE_PATH=str(self.clients / "restaf" / "node_modules"))

    def _run(self, command: list[str], **more: str) -> Any:
        # No proxy of the machine stands between a client and the server beside it.
        env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        done = subprocess.run(
            [*command, self.server.url, self.tokens["sasdemo"]],
            env=env | {"HOME": str(self.folder)} | more,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.strip().splitlines()[-1])
