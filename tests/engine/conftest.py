"""A store on each kind of database, with a clock that the test sets."""

import pytest
import pytest_asyncio

from jobyard_server.store.store import Store
from support.scheduling import START
from support.storing import FakeClock, Hand


@pytest.fixture
def clock():
    return FakeClock(START)


@pytest.fixture
def open_store(url, clock):
    """Opens one more store on the database of the test."""
    return lambda: Store(url, clock=clock)


@pytest_asyncio.fixture
async def store(open_store):
    async with open_store() as opened:
        yield opened


@pytest.fixture
def hand(store):
    return Hand(store, seconds=3600)
