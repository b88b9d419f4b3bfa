"""A server with callers and a worker, and the real clients of SAS Viya, each in an environment of its own.

`make clients-viya` installs them and says where; without it these tests are not there.
"""

import os
from collections.abc import Iterator

import pytest

from apis.viya.clients.real import Clients

ENVIRONMENT = os.environ.get("VIYA_CLIENTS", "")

if not ENVIRONMENT:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="package")
def clients(tmp_path_factory) -> Iterator[Clients]:
    found = Clients(tmp_path_factory.mktemp("clients"), ENVIRONMENT)
    found.start()
    try:
        yield found
    finally:
        found.stop()
