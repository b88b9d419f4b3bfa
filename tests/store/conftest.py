"""A store on each kind of database: what is written against it holds for all of them."""

import pytest
import pytest_asyncio

from jobyard_server.domain.fields import ApiFields, Kind
from jobyard_server.domain.state import State
from jobyard_server.store.store import Store
from support.storing import Hand

FIELDS = {
    "jobs": ApiFields({}),
    "sample": ApiFields({"colour": Kind.TEXT, "size": Kind.INT}, indexed=("colour", "size")),
}
WORDS = {"sample": {State.PENDING: "queued", State.SUCCEEDED: "done"}}


@pytest.fixture
def open_store(url):
    """Opens one more store on the database of the test."""
    return lambda: Store(url, words=WORDS, fields=FIELDS)


@pytest_asyncio.fixture
async def store(open_store):
    async with open_store() as opened:
        yield opened


@pytest.fixture
def hand(store):
    return Hand(store)
