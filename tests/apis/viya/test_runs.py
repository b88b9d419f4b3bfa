"""Jobs that real workers run: code, arguments, results, logs, and every way in which they end."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Iterator

import pytest

from apis.viya.yard import JOBS, Yard
from support.running import Worker

PYTHON = f"{shlex.quote(sys.executable)} -"
CODE = """
import json, os
payload = json.load(open(os.environ["JOBYARD_PAYLOAD_FILE"]))
print("hello", payload["arguments"]["NAME"])
json.dump({"greeting.txt": "/files/" + payload["arguments"]["NAME"], "size": 3, "domain": payload["delegateDomain"]},
          open(os.environ["JOBYARD_RESULT_FILE"], "w"))
"""
INTERVAL = 4
SLEEP = "import time, pathlib\nwhile True:\n    pathlib.Path({!r}).touch()\n    time.sleep(0.05)\n"


@pytest.fixture(scope="module")
def quick(tmp_path_factory) -> Iterator[Yard]:
    """A server that misses workers soon."""
    quick = Yard(
        tmp_path_factory.mktemp("quick"),
        JOBYARD_LEASE_SECONDS="10",
        JOBYARD_HEARTBEAT_SECONDS="0.3",
        JOBYARD_LEASE_CHECK_SECONDS="0.2",
    )
    quick.start()
    yield quick
    quick.stop()


@pytest.fixture(scope="module")
def worker(quick) -> Iterator[Worker]:
    with Worker(quick.server, "viya/Compute", PYTHON, "--concurrency", "4") as worker:
        yield worker


def test_a_worker_runs_the_code_with_its_arguments(quick, worker):
    parameters = [{"name": "NAME", "type": "CHARACTER", "defaultValue": "Ada"}]
    definition = {"name": "hello", "type": "Compute", "code": CODE, "parameters": parameters}
    answer = quick.ask("POST", JOBS, body={"jobDefinition": definition}, headers={"Delegate-Domain": "group"})
    job = quick.until(answer.json["id"], lambda job: job["state"] == "completed")
    assert job["results"] == {"greeting.txt": "/files/Ada", "size": "3", "domain": "group"}
    assert job["endTimeStamp"] >= job["heartbeatTimeStamp"] >= job["creationTimeStamp"]
    assert job["logLocation"] == f"/files/files/{job['id']}"
    [log] = [link for link in job["links"] if link["rel"] == "log"]
    assert log["href"] == job["logLocation"]
    assert "type" not in log
    file = quick.ask("GET", log["href"]).json
    assert file["contentType"] == "text/plain"
    [content] = [link["href"] for link in file["links"] if link["rel"] == "content"]
    assert quick.ask("GET", content).text == "hello Ada\n"


def test_code_that_fails_is_a_failed_job_with_error_and_log(quick, worker):
    job = quick.submit({"code": "print('before')\nraise SystemExit('no such table')"})
    job = quick.until(job["id"], lambda job: job["state"] not in ("pending", "running"))
    assert job["state"] == "failed"
    assert "no such table" in job["error"]["message"]
    assert job["error"]["details"] == ["reason: EXIT_CODE"]
    assert "no such table" in quick.ask("GET", f"{job['logLocation']}/content").text


@pytest.mark.parametrize("end", ["cancel", "delete"])
def test_whoever_runs_a_job_that_is_ended_stops(quick, worker, tmp_path, end):
    sign = tmp_path / "alive"
    job = quick.submit({"code": SLEEP.format(str(sign))})
    quick.until(job["id"], lambda job: job["state"] == "running" and sign.exists())
    if end == "cancel":
        answer = quick.set_state(job["id"], "canceled")
        assert (answer.status, answer.text) == (200, "canceled")
        assert quick.job(job["id"])["state"] == "canceled"
    else:
        assert quick.ask("DELETE", f"{JOBS}/{job['id']}").status == 204
        assert quick.ask("GET", f"{JOBS}/{job['id']}").status == 404
    deadline = time.monotonic() + 60
    while time.time() - sign.stat().st_mtime < 1:
        assert time.monotonic() < deadline, "the program goes on"
        time.sleep(0.1)
    if end == "cancel":
        assert quick.set_state(job["id"], "running").status == 405


def test_a_job_whose_worker_dies_times_out(quick, tmp_path):
    sign = tmp_path / "alive"
    file = tmp_path / "provider.yaml"
    spec = {"api": "viya", "kind": "provider", "id": "Mortal", "spec": {"heartbeatInterval": INTERVAL}}
    file.write_text(json.dumps({"executor": spec}))
    quick.apply(file)
    with Worker(quick.server, "viya/Mortal", PYTHON, name="mortal") as mortal:
        # A job is given no more time to be taken than to be heard of, and programs start slowly on a busy machine.
        mortal.wait_until_working()
        job = quick.submit({"type": "Mortal", "code": SLEEP.format(str(sign))})
        quick.until(job["id"], lambda job: job["state"] == "running" and sign.exists())
        # Longer than the interval: the worker's own heartbeats count.
        time.sleep(INTERVAL + 1)
        running = quick.job(job["id"])
        assert running["state"] == "running"
        assert running["heartbeatTimeStamp"] > running["creationTimeStamp"]
        mortal.kill()
        job = quick.until(job["id"], lambda job: job["state"] != "running")
    assert job["state"] == "timedOut"
    assert "error" not in job
    assert job["endTimeStamp"]
    found = quick.ask("GET", f"{JOBS}?filter=and(eq(state,timedOut),eq(id,'{job['id']}'))").json
    assert [one["id"] for one in found["items"]] == [job["id"]]
    assert quick.ask("GET", f"{JOBS}?filter=eq(state,'failed')").json["count"] >= 0
    failed = quick.ask("GET", f"{JOBS}?filter=eq(state,'failed')&limit=1000").json["items"]
    assert job["id"] not in {one["id"] for one in failed}
