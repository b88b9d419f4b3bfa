"""A server that speaks S3, in an environment of its own.

`make s3` installs it and says where; without it these tests are not there.
"""

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from support.ports import free_port

PYTHON = os.environ.get("S3_SERVER", "")
BUCKET = "results"

if not PYTHON:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="package")
def s3() -> Iterator[str]:
    """Its URL; it has one bucket."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [PYTHON, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            make_bucket(url)
            yield url
        finally:
            process.kill()


def make_bucket(url: str) -> None:
    """As soon as the server answers."""
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(f"{url}/{BUCKET}", method="PUT")) as answer:
                assert answer.status == 200
                return
        except urllib.error.URLError:
            assert time.monotonic() < until
            time.sleep(0.1)
