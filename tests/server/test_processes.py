"""Several processes as one server: they share the addresses and the database, and one that dies is replaced."""

import http.client
import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from support.command import JOBYARD, environment
from support.ports import two_free_ports
from support.running import Server


def processes(server):
    """The processes that serve, by number."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return [int(pid) for pid in children if "spawn_main" in command_of(pid)]


def command_of(pid):
    """The command of a process, empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def get(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read().decode()


def submit(server, key):
    request = urllib.request.Request(
        f"{server.url}/jobyard/v1/jobs",
        data=json.dumps({"queue": "nobody", "payload": {}, "idempotency_key": key}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["uid"]


def eventually(condition, seconds=120.0):
    """Wait until it holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.05)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="module")
def metrics_port():
    """The first of two ports that are free."""
    return two_free_ports()


@pytest.fixture(scope="module")
def server(tmp_path_factory, metrics_port):
    folder = tmp_path_factory.mktemp("processes")
    ready = folder / "ready.json"
    settings = {"JOBYARD_METRICS": f"127.0.0.1:{metrics_port}", "JOBYARD_READY_FILE": str(ready)}
    with Server(folder, "--processes", "2", **settings) as running:
        # One process answers as soon as it can; the file is there when all do.
        eventually(ready.exists)
        yield running


def test_each_takes_its_part_of_the_callers(server, metrics_port):
    for _ in range(64):
        get(f"{server.url}/jobyard/v1/jobs")
    pages = [get(f"http://127.0.0.1:{port}/metrics") for port in (metrics_port, metrics_port + 1)]
    served = [
        sum(float(n) for n in re.findall(r"(?m)^jobyard_calls_total\{.*ListJobs.*\} (\S+)", page)) for page in pages
    ]
    assert sum(served) == 64
    assert min(served) > 8


def test_what_one_takes_the_others_know(server):
    uid = submit(server, "known-everywhere")
    assert {submit(server, "known-everywhere") for _ in range(16)} == {uid}


def test_each_tells_its_own_figures_at_its_own_port(server, metrics_port):
    for port in (metrics_port, metrics_port + 1):
        assert "jobyard_calls_serving" in get(f"http://127.0.0.1:{port}/metrics")
        assert "store: reachable" in get(f"http://127.0.0.1:{port}/readyz")
        with pytest.raises(urllib.error.HTTPError, match="404") as caught:
            get(f"http://127.0.0.1:{port}/jobyard/v1/jobs")
        caught.value.close()


def test_one_that_is_killed_takes_no_answered_job_with_it_and_is_replaced(server):
    answered, over = {}, threading.Event()

    def client(name):
        number = 0
        while not over.is_set():
            key = f"{name}-{number}"
            try:
                answered[key] = submit(server, key)
                number += 1
            except (OSError, http.client.HTTPException):
                pass  # cut off or refused: the same key again

    clients = [threading.Thread(target=client, args=(f"client-{n}",)) for n in range(4)]
    for thread in clients:
        thread.start()
    eventually(lambda: len(answered) > 20)
    before = processes(server)
    os.kill(before[0], signal.SIGKILL)
    eventually(lambda: len(processes(server)) == 2 and before[0] not in processes(server))
    known = len(answered)
    eventually(lambda: len(answered) > known + 20)
    over.set()
    for thread in clients:
        thread.join()
    assert {key: submit(server, key) for key in answered} == answered
    assert server.process.poll() is None


def test_without_the_parent_the_others_end_by_themselves(tmp_path):
    server = Server(tmp_path, "--processes", "2").start()
    eventually(lambda: server.text().count('"ready"') == 1)
    left = processes(server)
    server.kill()
    eventually(lambda: not any(alive(pid) for pid in left))


def test_settings_no_process_can_serve_with_are_told_once(tmp_path):
    done = subprocess.run(
        [JOBYARD, "serve", "--processes", "2", "--database", "mystery://", "--grpc", "127.0.0.1:0",
         "--rest", "127.0.0.1:0"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done
    assert done.stderr.startswith("error: database: mystery:// cannot be used"), done.stderr
    assert done.stderr.count("\n") == 1
