"""One server for the tests of the jobs API; each test has a queue of its own."""

from collections.abc import AsyncIterator, Iterator

import pytest

from support.running import Server
from support.yarding import Jobs, jobs_of, quick_server


@pytest.fixture(scope="package")
def server(tmp_path_factory) -> Iterator[Server]:
    with quick_server(tmp_path_factory.mktemp("jobs")) as running:
        yield running


@pytest.fixture
async def jobs(server) -> AsyncIterator[Jobs]:
    async with jobs_of(server) as found:
        yield found
