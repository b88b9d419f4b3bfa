"""The real clients against a running server: the command line, and programs over the library."""

from __future__ import annotations

import json
import os
import subprocess
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from support.running import Server

T = TypeVar("T")
PATIENCE = 60.0
HELLO = """
def main(name="World", **kwargs):
    print("Greeting", name)
    return "{word}, %s" % name
"""


class Clients:
    """A development server, which runs functions, and the clients' own environment."""

    def __init__(self, folder: Path, environment: str) -> None:
        self.folder = folder
        self.bin = Path(environment) / "bin"
        self.server = Server(folder, "--dev", JOBYARD_SCHEDULE_CHECK_SECONDS="0.2", XDG_CACHE_HOME=str(folder))

    def start(self) -> None:
        self.server.start()

    def stop(self) -> None:
        assert self.server.stop() == 0

    def package(self, name: str, word: str = "Hello", code: str = HELLO) -> Path:
        """A package with one module."""
        path = self.folder / f"{name}.zip"
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("main.py", code.format(word=word))
        return path

    def openstack(self, *words: str, code: int = 0) -> str:
        """One command of the command line; what it printed."""
        url = self.server.url
        command = [self.bin / "openstack", "--os-auth-type", "none", "--os-endpoint", url, "--qinling-url", url]
        done = self._run([*command, *words])
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code == 0 else done.stdout + done.stderr

    def json(self, *words: str) -> Any:
        """The same, told as JSON."""
        return json.loads(self.openstack(*words, "-f", "json"))

    def program(self, path: Path, *words: str) -> str:
        """Run a program over the library; what it printed."""
        done = self._run([self.bin / "python", path, self.server.url, *words])
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _run(self, command: list[Path | str]) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "QINLING_"))}
        return subprocess.run(
            [str(word) for word in command], capture_output=True, text=True, timeout=PATIENCE, check=False, env=kept
        )


def until(look: Callable[[], T | None]) -> T:
    """What is seen as soon as there is something to see."""
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline, "nothing came of it"
        time.sleep(0.3)
    return found
