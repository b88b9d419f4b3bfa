"""The server as a process: it starts only where that is safe, says where it is, tells how it does, and stops well."""

import http.client
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import grpc
import pytest

from jobyard.jobs.v1 import (
    job_access_pb2,
    job_service_pb2_grpc,
    job_submit_pb2,
    job_watch_pb2,
    worker_lease_pb2,
    worker_service_pb2_grpc,
)
from jobyard_server.callers.token_file import Entry, create
from jobyard_server.main import build
from jobyard_server.settings import SettingsError, load
from support.command import JOBYARD, environment
from support.databases import held_open
from support.running import Server


def refused(folder, *arguments, **settings):
    """Run a server that must not start; what it says."""
    done = subprocess.run(
        [JOBYARD, "serve", *arguments], cwd=folder, env=environment(**settings), capture_output=True, text=True,
        timeout=250, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    return done.stderr


def get(server, path, **headers):
    request = urllib.request.Request(server.url + path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read().decode()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("server")) as running:
        yield running


# --- starting ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["grpc", "rest"])
@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.com:0"])
async def test_without_authentication_it_listens_on_loopback_only(option, address):
    with pytest.raises(SettingsError) as caught:
        build(load(**{option: address}))
    assert str(caught.value).startswith(f"{option}: {address} is open to others")
    assert "set JOBYARD_AUTH_TOKENS=FILE" in str(caught.value)


def test_what_it_cannot_start_with_is_said_in_a_line(tmp_path):
    said = refused(tmp_path, "--grpc", "0.0.0.0:0", "--rest", "127.0.0.1:0")
    assert said.startswith("error: grpc: 0.0.0.0:0 is open to others")
    assert said.count("\n") == 1


def test_with_authentication_it_may_listen_anywhere(tmp_path):
    create(tmp_path / "tokens.yaml", Entry("a", "", "ann", roles=("admin",)))
    ready = tmp_path / "ready.json"
    settings = {"JOBYARD_AUTH_TOKENS": str(tmp_path / "tokens.yaml"), "JOBYARD_PLAINTEXT": "true"}
    process = subprocess.Popen(
        [JOBYARD, "serve", "--grpc", "0.0.0.0:0", "--rest", "0.0.0.0:0", "--ready-file", str(ready)],
        cwd=tmp_path, env=environment(**settings), stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not ready.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        addresses = json.loads(ready.read_text())
        assert all(address.startswith("0.0.0.0:") and not address.endswith(":0") for address in addresses.values())
    finally:
        process.terminate()
        assert process.wait(60) == 0
        process.stderr.close()


def test_a_port_in_use_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert f"rest: cannot listen on {address}: Address already in use" in refused(
            tmp_path, "--rest", address, "--grpc", "127.0.0.1:0"
        )
        assert f"grpc: cannot listen on {address}: Address already in use" in refused(
            tmp_path, "--grpc", address, "--rest", "127.0.0.1:0"
        )


async def test_settings_that_cannot_work_are_named(tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: b")
    for given, said in (
        ({"database": "mysql://nowhere/x"}, "database: "),
        ({"database": "sqlite:////proc/none/jobyard.db"}, "database: "),
        ({"auth_tokens": broken}, "is no list of tokens"),
        ({"auth_tokens": tmp_path / "none.yaml", "auth_anonymous_roles": ["boss"]}, "there is no role 'boss'"),
        ({"auth_tokens": tmp_path / "none.yaml", "roles": {"a": ["nothing.at.all"]}}, "there is no permission"),
    ):
        with pytest.raises(SettingsError, match=said):
            build(load(**({"database": f"sqlite:///{tmp_path / 'jobyard.db'}"} | given)))
        assert held_open(tmp_path) == []


def test_a_database_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "jobyard.db").write_text("this is no database, but a text that is long enough to look at")
    said = refused(tmp_path, "--grpc", "127.0.0.1:0", "--rest", "127.0.0.1:0")
    assert said.startswith("error: database: sqlite:///jobyard.db cannot be used")


# --- what it says about itself -----------------------------------------------------------------------------------


def test_it_lives_and_is_ready(server):
    status, headers, text = get(server, "/healthz")
    assert (status, text) == (200, "alive\n")
    assert headers["Cache-Control"] == "no-store"
    status, _, text = get(server, "/readyz")
    assert (status, text) == (200, "store: reachable\nengine: running\n")


def test_metrics_are_those_of_prometheus(server):
    get(server, "/jobyard/v1/jobs/none")
    status, headers, text = get(server, "/metrics")
    assert (status, headers["Content-Type"].startswith("text/plain; version=")) == (200, True)
    method = "/jobyard.jobs.v1.JobService/GetJob"
    assert f'jobyard_calls_total{{code="NOT_FOUND",door="rest",method="{method}"}}' in text
    for name in ("jobyard_call_seconds_bucket", "jobyard_loop_lag_seconds_bucket", "jobyard_engine_lag_seconds",
                 "jobyard_calls_serving", "process_cpu_seconds_total"):  # fmt: skip
        assert f"\n{name}" in text, name


def test_pages_are_read_only(server):
    connection = http.client.HTTPConnection(server.rest, timeout=60)
    connection.request("POST", "/healthz", b"{}")
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Allow")) == (405, "GET, HEAD")
    answer.read()
    connection.request("HEAD", "/healthz")
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Content-Length"), answer.read()) == (200, "6", b"")
    connection.close()


# --- pages of strangers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "[::1]:8080"}, 200),
        ({"Host": "127.8.9.10"}, 200),
        ({"Host": "rebound.example.com"}, 403),
        ({"Host": "127.0.0.1.example.com"}, 403),
        ({"Host": "192.168.1.5:8080"}, 403),
        ({"Origin": "http://localhost:3000"}, 200),
        ({"Origin": "https://evil.example.com"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "none"}, 200),
        ({"Sec_Fetch_Site": "same-origin"}, 200),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
    ],
)
def test_an_open_server_answers_its_own_machine_only(server, headers, status):
    assert get(server, "/jobyard/v1/jobs", **headers)[0] == status


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/jobyard/v1/jobs", lambda body: body["error"]["message"]),
        ("/ghibli-rest/v2/job-manager/jobs", lambda body: body["error"]["message"]),
        ("/v1/jobs", lambda body: body["faultstring"]),
        ("/data-consumer/v1/info-jobs", lambda body: body["error"]),
        ("/jobExecution/jobs", lambda body: body["message"]),
        ("/nowhere", lambda body: body["message"]),
    ],
)
def test_strangers_are_told_in_the_form_of_each_api(server, path, told):
    status, _, body = get(server, path, Host="rebound.example.com")
    assert (status, "no authentication" in told(json.loads(body))) == (403, True)


def test_strangers_are_told_the_reason(server):
    _, _, body = get(server, "/jobyard/v1/jobs", Host="rebound.example.com")
    error = json.loads(body)["error"]
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "CLIENT_NOT_SERVED"}
    assert error["reason"] == "CLIENT_NOT_SERVED"
    assert error["details"][0] | info == error["details"][0]


# --- callers -----------------------------------------------------------------------------------------------------


def test_callers_show_tokens_and_no_token_is_ever_logged(tmp_path):
    file = tmp_path / "tokens.yaml"
    tokens = {
        "viewer": create(file, Entry("viewer", "", "vic", tenant="north", roles=("viewer",))),
        "operator": create(file, Entry("operator", "", "olga", tenant="north", roles=("operator",))),
    }
    with Server(tmp_path, JOBYARD_AUTH_TOKENS=str(file)) as server:
        assert get(server, "/readyz")[0] == 200
        status, headers, _ = get(server, "/jobyard/v1/jobs")
        assert (status, headers["WWW-Authenticate"]) == (401, 'Bearer realm="jobyard"')
        for shown in ("Bearer wrong-token-shown", "Basic dmljOnNlY3JldA=="):
            assert get(server, "/jobyard/v1/jobs", Authorization=shown)[0] == 401
        bearer = {name: f"Bearer {token}" for name, token in tokens.items()}
        # With callers known, pages of other names may ask: they have nothing to show.
        assert get(server, "/jobyard/v1/jobs", Authorization=bearer["viewer"], Host="jobs.example.com")[0] == 200
        with grpc.insecure_channel(server.grpc) as channel:
            jobs = job_service_pb2_grpc.JobServiceStub(channel)
            request = job_submit_pb2.SubmitJobRequest(queue="q", payload="{}")
            with pytest.raises(grpc.RpcError) as caught:
                jobs.SubmitJob(request, timeout=60, metadata=[("authorization", bearer["viewer"])])
            assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
            job = jobs.SubmitJob(request, timeout=60, metadata=[("authorization", bearer["operator"])]).job
            assert (job.created_by, job.tenant) == ("olga", "north")
    log = server.text()
    assert "olga" in log
    assert "wrong-token-shown" not in log
    assert "dmljOnNlY3JldA" not in log
    assert not any(token in log for token in tokens.values())


# --- stopping ----------------------------------------------------------------------------------------------------


def serving(server):
    """How many calls a server serves."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
        return next(float(line.split()[1]) for line in answer if line.startswith(b"jobyard_calls_serving "))


def test_it_stops_at_once_whatever_its_clients_wait_for(tmp_path):
    # Calls that are young, as these are, have so long to end when the server stops.
    with Server(tmp_path, JOBYARD_DRAIN_SECONDS="60") as server, grpc.insecure_channel(server.grpc) as channel:
        idle = http.client.HTTPConnection(server.rest, timeout=60)
        idle.request("GET", "/healthz")
        idle.getresponse().read()
        watching = http.client.HTTPConnection(server.rest, timeout=60)
        watching.request("GET", "/jobyard/v1/jobs:watch", headers={"Accept": "text/event-stream"})
        watch = job_service_pb2_grpc.JobServiceStub(channel).WatchJobs(job_watch_pb2.WatchJobsRequest())
        session = worker_lease_pb2.AcquireRequest(session="a" * 32, worker="w", queues=["none"], limit=1)
        session.wait.FromSeconds(60)
        acquire = worker_service_pb2_grpc.WorkerServiceStub(channel).Acquire.future(session, timeout=60)
        while serving(server) < 3:
            time.sleep(0.02)
        server.signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
        assert not acquire.result().leases
        assert watch.code() is grpc.StatusCode.UNAVAILABLE
        watching.close()
        idle.close()
    assert '"event":"stopped"' in server.text()


def test_what_was_accepted_is_there_after_a_restart(tmp_path):
    server = Server(tmp_path)
    with server, grpc.insecure_channel(server.grpc) as channel:
        jobs = job_service_pb2_grpc.JobServiceStub(channel)
        job = jobs.SubmitJob(job_submit_pb2.SubmitJobRequest(queue="q", payload="{}"), timeout=60).job
    with server, grpc.insecure_channel(server.grpc) as channel:
        jobs = job_service_pb2_grpc.JobServiceStub(channel)
        assert jobs.GetJob(job_access_pb2.GetJobRequest(job=job.uid), timeout=60).job == job


def test_a_second_signal_does_not_wait(tmp_path):
    with Server(tmp_path) as server:
        os.kill(server.process.pid, signal.SIGINT)
        os.kill(server.process.pid, signal.SIGINT)
        assert server.process.wait(60) in {0, 130}
