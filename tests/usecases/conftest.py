"""Use cases over a real store: callers, a worker, and the words in which tests speak of them."""

from dataclasses import replace

import pytest
import pytest_asyncio

from jobyard_server.domain.fields import ApiFields, Kind
from jobyard_server.domain.principal import Principal
from jobyard_server.store.store import Store
from jobyard_server.usecases.call import ALL_TENANTS, Call
from support.storing import Hand

ANN = Call(Principal("ann", "acme"), "jobs", every_api=True, request_id="r1")


@pytest_asyncio.fixture
async def store(tmp_path):
    async with Store(
        f"sqlite:///{tmp_path}/store.db",
        fields={"jobs": ApiFields({}), "sample": ApiFields({"colour": Kind.TEXT}, indexed=("colour",))},
    ) as opened:
        yield opened


@pytest.fixture
def ann():
    """A user of jobs.v1."""
    return ANN


@pytest.fixture
def sample():
    """The same user at an API that shows its own jobs only."""
    return replace(ANN, api="sample", every_api=False)


@pytest.fixture
def stranger():
    """A user of another tenant."""
    return replace(ANN, principal=Principal("eve", "other"))


@pytest.fixture
def operator():
    """A user who sees all tenants."""
    return replace(ANN, principal=Principal("root", "ops", permissions=frozenset({ALL_TENANTS})))


@pytest.fixture
def hand(store):
    return Hand(store)
