"""A server with a worker for functions, and the clients of Qinling in an environment of their own.

`make clients-qinling` installs them and says where; without it these tests are not there.
"""

import os
from collections.abc import Iterator

import pytest

from apis.qinling.clients.real import Clients

ENVIRONMENT = os.environ.get("QINLING_CLIENT", "")

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
