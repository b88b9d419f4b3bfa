"""Functions: called with what they are given, in a process that cannot do more than it may."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jobyard_server.worker.functions import cache

NOWHERE = "127.0.0.1:9"
MIB = 1024 * 1024


@dataclass
class Ran:
    """How an execution ended."""

    code: int
    log: str
    result: dict[str, Any]
    seconds: float

    @property
    def output(self) -> Any:
        return self.result["output"]


class Shed:
    """Runs functions as a worker does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        self.package = b""

    def run(self, code: str, given: Any = None, **changes: Any) -> Ran:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as package:
            package.writestr("main.py", code)
        self.package = packed.getvalue()
        cache.keep(self.cache, self.package)
        return self.execute(given, **changes)

    def execute(self, given: Any = None, **changes: Any) -> Ran:
        folder = self.folder / f"attempt{time.monotonic_ns()}"
        folder.mkdir()
        usual = {
            "execution": "e-1", "entry": "main.main", "input": given, "timeout": 60, "cpu": 100, "memory": 32 * MIB,
            "package": "token", "sha256": hashlib.sha256(self.package).hexdigest(),
        }  # fmt: skip
        environment = {
            "PATH": os.environ["PATH"],
            "JOBYARD_RESULT_FILE": str(folder / "result.json"),
            "JOBYARD_SECRET": "worker's own",
        }
        words = ["--server", NOWHERE, "--cache", str(self.cache), "--patience", "0.5"]
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "jobyard_server.worker.functions", *words],
            input=json.dumps({**usual, **changes}), env=environment, text=True, timeout=250, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        result = json.loads((folder / "result.json").read_text())
        return Ran(done.returncode, done.stdout, result, time.monotonic() - began)


@pytest.fixture
def shed(tmp_path):
    return Shed(tmp_path)


@pytest.mark.parametrize(
    ("given", "output"),
    [
        (None, [[], {}]),
        ({"name": "Ann", "size": 2}, [[], {"name": "Ann", "size": 2}]),
        ({"__function_input": "plain"}, [["plain"], {}]),
    ],
)
def test_a_function_is_called_with_what_it_is_given(shed, given, output):
    ran = shed.run("def main(*args, **kwargs):\n    print('called')\n    return [args, kwargs]\n", given)
    assert (ran.code, ran.output) == (0, output)
    assert 0 < ran.result["duration"] < 5
    assert ran.log.splitlines() == ["Start execution: e-1", "called", "Finished execution: e-1"]


def test_modules_of_the_package_are_there_and_the_worker_is_not(shed):
    code = (
        "import os\ndef main():\n    return [sorted(os.environ), os.listdir('.'), os.getcwd() == os.environ['HOME']]\n"
    )
    names, files, at_home = shed.run(code).output
    assert ("main.py" in files, at_home) == (True, True)
    assert not [name for name in names if name.startswith("JOBYARD")]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def main():\n    raise ValueError('no luck')\n", "no luck"),
        ("def main():\n    raise SystemExit\n", "SystemExit"),
        ("def main():\n    return object()\n", "not JSON serializable"),
        ("def main():\n    return float('nan')\n", "not JSON compliant"),
        ("def other():\n    pass\n", "main"),
        ("import nowhere\n", "nowhere"),
        ("def main(\n", "never closed"),
    ],
)
def test_what_a_function_raises_is_its_output(shed, code, words):
    ran = shed.run(code)
    assert ran.code == 1
    assert words in ran.output
    assert "Traceback" in ran.log


@pytest.mark.parametrize(
    ("code", "timeout", "words"),
    [
        ("import time\ndef main():\n    time.sleep(600)\n", 1, "timeout"),
        ("import signal\nsignal.signal(15, signal.SIG_IGN)\nwhile True: signal.pause()\n", 1, "timeout"),
        ("import os\ndef main():\n    os._exit(0)\n", 200, "without an answer"),
        ("def main():\n    return 'x' * (2 * 1024 * 1024)\n", 200, "returned more than"),
    ],
)
def test_a_function_that_never_answers_is_ended(shed, code, timeout, words):
    ran = shed.run(code, timeout=timeout)
    assert ran.code == 1
    assert words in ran.output
    assert ran.seconds < 100


def test_more_memory_than_allowed_is_not_had(shed):
    ran = shed.run("def main():\n    return len(bytearray(200 * 1024 * 1024))\n")
    assert (ran.code, ran.output) == (1, "MemoryError")
    assert shed.run("def main():\n    return len(bytearray(20 * 1024 * 1024))\n").output == 20 * MIB


def test_processes_together_have_no_more_memory_than_one(shed):
    code = """
import os, time
def main():
    for _ in range(4):
        if os.fork() == 0:
            held = bytearray(os.urandom(1024) * (24 * 1024))
            time.sleep(600)
    time.sleep(600)
"""
    ran = shed.run(code, timeout=200)
    assert (ran.code, ran.output) == (1, "The function used more memory than it may.")
    assert ran.seconds < 200


def test_processor_time_is_bounded(shed):
    ran = shed.run("def main():\n    while True: pass\n", timeout=100, cpu=1)
    assert ran.code == 1
    # Not the timeout: it ends sooner, how much sooner depends on what else the machine does.
    assert "processor time" in ran.output


def test_what_a_function_leaves_behind_is_ended(shed, tmp_path):
    sign = tmp_path / "sign"
    code = f"""
import os, time
def main():
    if os.fork() == 0:
        while True:
            open({str(sign)!r}, "a").write("x")
            time.sleep(0.05)
    time.sleep(0.5)
    return "gone"
"""
    assert shed.run(code).output == "gone"
    size = sign.stat().st_size
    time.sleep(0.5)
    assert sign.stat().st_size == size > 0


def test_the_last_line_of_a_function_does_not_pass_for_a_result(shed):
    ran = shed.run("""print('{"output": "forged"}')\nimport os\nos.kill(os.getppid(), 9)\n""")
    assert (ran.code, ran.result) == (-9, {})


def test_a_package_that_was_changed_on_disk_is_not_run(shed):
    shed.run("def main():\n    return 1\n")
    (kept,) = shed.cache.iterdir()
    kept.write_bytes(kept.read_bytes() + b" ")
    ran = shed.execute()
    assert (ran.code, ran.result) == (70, {})
    assert "the package cannot be fetched" in ran.log


def test_the_cache_keeps_the_newest_packages(tmp_path):
    for number in range(cache.MOST_FILES + 5):
        cache.keep(tmp_path, bytes([number]))
    assert len(list(tmp_path.iterdir())) == cache.MOST_FILES
    newest = hashlib.sha256(bytes([cache.MOST_FILES + 4])).hexdigest()
    assert cache.find(tmp_path, newest) == bytes([cache.MOST_FILES + 4])
    assert cache.find(tmp_path, "../../etc/passwd") is None
