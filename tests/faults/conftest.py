"""A durable PostgreSQL server that tests may kill, and replicas on one database of it."""

from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from jobyard_server.domain.fields import ApiFields
from jobyard_server.store.store import Store
from support.oracle import check_attempts, check_books
from support.postgres import Cluster


@pytest.fixture(scope="session")
def durable():
    with Cluster() as started:
        yield started


@pytest.fixture
def shared(durable):
    """The URL of a database for several replicas; its books are checked at the end."""
    url = durable.new_store()
    yield url
    check_books(url)
    check_attempts(url)
    durable.drop_database(url)


@asynccontextmanager
async def _replicas(url, count):
    async with AsyncExitStack() as stack:
        stores = [Store(url, fields={"jobs": ApiFields({})}) for _ in range(count)]
        yield [await stack.enter_async_context(store) for store in stores]


@pytest.fixture
def replicas():
    """Opens so many stores on a database, as replicas do."""
    return _replicas
