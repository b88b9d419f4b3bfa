"""The running server keeps what its OpenAPI documents promise: schemathesis makes up requests from them and judges."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobyard_server.callers.token_file import Entry, create
from support.running import Server

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
RULES = Path(__file__).with_name("schemathesis.toml")
PHASES = os.environ.get("PHASES", "fuzzing")
EXAMPLES = os.environ.get("EXAMPLES", "2")


@pytest.fixture(scope="module")
def token(tmp_path_factory) -> tuple[Path, str]:
    file = tmp_path_factory.mktemp("tokens") / "tokens.yaml"
    return file, create(file, Entry("ann", "", "ann", roles=("admin",)))


@pytest.fixture(scope="module")
def server(tmp_path_factory, token) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("promises"), JOBYARD_AUTH_TOKENS=str(token[0])) as running:
        yield running


@pytest.mark.timeout(900)  # `make promises` looks much longer than `make test`
def test_every_answer_is_as_documented(server, token, tmp_path):
    look = ("--phases", PHASES, "--max-examples", EXAMPLES, "--header", f"Authorization: Bearer {token[1]}")
    ran = subprocess.run(
        [SCHEMATHESIS, "--config-file", RULES, "run", f"{server.url}/openapi/all.json", "--url", server.url, *look],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    print(ran.stdout, ran.stderr)
    assert ran.returncode == 0
    assert "No issues found" in ran.stdout, "nothing was asked"
