"""One server, with a worker inside it, for the tests of the command line."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

from support.command import JOBYARD, environment
from support.running import Server
from support.yarding import Jobs, jobs_of, quick_server


@pytest.fixture(scope="package")
def server(tmp_path_factory) -> Iterator[Server]:
    with quick_server(tmp_path_factory.mktemp("cli"), "--dev") as running:
        yield running


@pytest.fixture
async def jobs(server) -> AsyncIterator[Jobs]:
    async with jobs_of(server) as found:
        yield found


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


class Command:
    """Runs the command as people and scripts do."""

    def __init__(self, server: str) -> None:
        self.server = server

    async def __call__(self, *arguments: object, stdin: str = "", **settings: str) -> Ran:
        process = await asyncio.create_subprocess_exec(
            JOBYARD,
            *map(str, arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(**{"JOBYARD_SERVER": self.server, **settings}),
        )
        out, err = await asyncio.wait_for(process.communicate(stdin.encode()), 250)
        assert process.returncode is not None
        return Ran(process.returncode, out.decode(), err.decode())


@pytest.fixture
def jobyard(server) -> Command:
    return Command(server.grpc)
