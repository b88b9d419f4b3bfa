"""Peers for all tests of this folder, and a server for those that need one of their own."""

from collections.abc import Iterator

import pytest

from apis.infojobs.simulator import Simulator
from apis.infojobs.yard import Yard


@pytest.fixture(scope="package")
def peers() -> Iterator[Simulator]:
    with Simulator() as found:
        yield found


@pytest.fixture
def simulator(peers) -> Simulator:
    peers.reset()
    return peers


@pytest.fixture
def yard(tmp_path, simulator) -> Iterator[Yard]:
    """A server of its own, with the usual rules."""
    found = Yard(tmp_path, simulator)
    found.server.start()
    try:
        yield found
    finally:
        found.stop()
