"""The main job, end to end: one program over one real file, started through REST, a gRPC stub and the command line.

Starts a server and a worker, loads ``invoices/catalog.yaml``, submits three jobs, watches them to SUCCEEDED, shows
their logs and compares their results with the file. Exits with 1 if anything is not as it should be.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import grpc

from jobyard.jobs.v1 import job_access_pb2, job_service_pb2_grpc, job_submit_pb2, job_watch_pb2, state_pb2

INVOICES = Path(__file__).parent / "invoices"
JOBYARD = str(Path(sys.executable).with_name("jobyard"))
PATIENCE = 30.0


def main() -> None:
    """Run the demo."""
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as (grpc_at, rest_at), worker(grpc_at):
        say("The catalog: a queue, a definition and a Data One contract")
        jobyard("apply", "--server", grpc_at, "--file", str(INVOICES / "catalog.yaml"))

        with grpc.insecure_channel(grpc_at) as channel:
            jobs = job_service_pb2_grpc.JobServiceStub(channel)
            submitted = {
                "Data One REST": submit_by_rest(rest_at),
                "gRPC stub": submit_by_stub(jobs),
                "command line": submit_by_command(grpc_at),
            }
            for way, job in submitted.items():
                say(f"Job {job}, submitted by {way}")
                watch(jobs, job)
                check(way, result_of(jobs, job))
                jobyard("logs", "--server", grpc_at, job)
            check_rest_agrees(rest_at, submitted["Data One REST"])
    say("All three jobs succeeded, with the right results.")


def submit_by_rest(rest_at: str) -> str:
    """Submit as a Data One client does: a contract, an action and a key that makes the request safe to repeat."""
    body = {
        "contractName": "Invoices",
        "actionName": "total",
        "actionVariables": {"status": "open"},
        "extIPID": "demo-1",
    }
    created = post(f"{rest_at}/ghibli-rest/v2/job-manager/jobs", body)
    again = post(f"{rest_at}/ghibli-rest/v2/job-manager/jobs", body)
    expect("the first POST creates the job", created[0], 201)
    expect("the second POST finds it", again[0], 409)
    expect("both answer the same job", again[1]["id"], created[1]["id"])
    return str(created[1]["id"])


def submit_by_stub(jobs: job_service_pb2_grpc.JobServiceStub) -> str:
    """Submit as an internal service does."""
    answer = jobs.SubmitJob(
        job_submit_pb2.SubmitJobRequest(
            definition="total-invoices",
            payload=json.dumps({"file": "2026-10.csv", "status": "open"}),
            idempotency_key="demo-2",
        ),
        timeout=PATIENCE,
    )
    return str(answer.job.number)


def submit_by_command(grpc_at: str) -> str:
    """Submit as a person does."""
    payload = '{"file": "2026-10.csv", "status": "open"}'
    command = ("submit", "--server", grpc_at, "total-invoices", "--payload", payload, "-o", "json")
    return str(json.loads(jobyard(*command, quiet=True))["number"])


def watch(jobs: job_service_pb2_grpc.JobServiceStub, job: str) -> None:
    """Print what happens to a job until it ends; it must end well."""
    request = job_watch_pb2.WatchJobsRequest(job=job, until_terminal=True)
    state = state_pb2.STATE_UNSPECIFIED
    for message in jobs.WatchJobs(request, timeout=PATIENCE):
        if message.HasField("event"):
            state = message.event.state
            what = message.event.DESCRIPTOR.fields_by_name["type"].enum_type.values_by_number[message.event.type].name
            print(f"  {message.event.job_seq}. {what.removeprefix('EVENT_TYPE_')}: {state_pb2.State.Name(state)}")
    expect(f"the last state of job {job}", state_pb2.State.Name(state), "STATE_SUCCEEDED")


def result_of(jobs: job_service_pb2_grpc.JobServiceStub, job: str) -> dict[str, Any]:
    """What the program wrote as the result of the job's only subjob."""
    answer = jobs.ListSubjobs(job_access_pb2.ListSubjobsRequest(job=job), timeout=PATIENCE)
    expect(f"the number of subjobs of job {job}", len(answer.subjobs), 1)
    result: dict[str, Any] = json.loads(answer.subjobs[0].result)
    return result


def check(way: str, result: dict[str, Any]) -> None:
    """Compare a result with the file, added up here in another way."""
    with (INVOICES / "2026-10.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "open"]
    totals = {
        currency: str(sum((Decimal(row["amount"]) for row in rows if row["currency"] == currency), Decimal()))
        for currency in sorted({row["currency"] for row in rows})
    }
    expect(f"the result of the job submitted by {way}", result, {"invoices": len(rows), "totals": totals})


def check_rest_agrees(rest_at: str, job: str) -> None:
    """The Data One list shows its own job, completed, and none of the other APIs'."""
    with urllib.request.urlopen(f"{rest_at}/ghibli-rest/v2/job-manager/jobs", timeout=PATIENCE) as answer:
        listed = json.load(answer)["jobs"]
    expect("the jobs of the Data One list", [(row["id"], row["status"]) for row in listed], [(job, "COMPLETED")])


@contextmanager
def server(folder: Path) -> Iterator[tuple[str, str]]:
    """Run a server on a fresh file, or the empty database that JOBYARD_DATABASE names, and free ports.

    Yields the gRPC address and the URL of REST.
    """
    ready = folder / "ready.json"
    database = os.environ.get("JOBYARD_DATABASE", f"sqlite:///{folder / 'demo.db'}")
    arguments = ["--database", database, "--grpc", "127.0.0.1:0", "--rest", "127.0.0.1:0"]
    command = [JOBYARD, "serve", *arguments, "--ready-file", str(ready)]
    with running(command, folder / "server.log"):
        began = time.monotonic()
        while not ready.exists():
            if time.monotonic() - began > PATIENCE:
                raise SystemExit(f"the server is not ready:\n{(folder / 'server.log').read_text()}")
            time.sleep(0.02)
        addresses = json.loads(ready.read_text())
        yield addresses["grpc"], f"http://{addresses['rest']}"


@contextmanager
def worker(grpc_at: str) -> Iterator[None]:
    """Run a worker of the queue `invoices`; it alone knows the command."""
    program = f"{sys.executable} {INVOICES / 'total.py'}"
    with tempfile.TemporaryDirectory() as folder:
        command = [JOBYARD, "worker", "--server", grpc_at, "--queue", "invoices", "--exec", program]
        with running(command, Path(folder) / "worker.log"):
            yield


@contextmanager
def running(command: list[str], log: Path) -> Iterator[None]:
    """Run a program, its output in a file, and end it afterwards."""
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            yield
        finally:
            process.terminate()
            code = process.wait(PATIENCE)
    expect(f"the exit code of `jobyard {command[1]}`", code, 0)


def jobyard(*arguments: str, quiet: bool = False) -> str:
    """Run the console command and return what it printed."""
    if not quiet:
        print(f"$ jobyard {' '.join(arguments)}")
    done = subprocess.run([JOBYARD, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False)
    if not quiet:
        print(done.stdout, end="")
    expect(f"the exit code of `jobyard {arguments[0]}` ({done.stderr.strip()})", done.returncode, 0)
    return done.stdout


def post(url: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """POST JSON; returns status and body, of a 409 too."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def expect(what: str, found: object, wanted: object) -> None:
    """End the demo unless something is as it should be."""
    if found != wanted:
        raise SystemExit(f"demo failed: {what} is {found!r}, not {wanted!r}")


def say(words: str) -> None:
    """Print a heading."""
    print(f"\n== {words}")


if __name__ == "__main__":
    main()
