"""A server that plays NCMP and two DMI services, for the tests of this folder."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from apis.ncmp.dmis import Dmi
from apis.ncmp.yard import Yard


@pytest.fixture
def dmi() -> Iterator[Dmi]:
    with Dmi() as found:
        yield found


@pytest.fixture
def other_dmi() -> Iterator[Dmi]:
    with Dmi() as found:
        yield found


@pytest.fixture(scope="module")  # it polls for the jobs that tests leave behind
def running_yard(tmp_path_factory) -> Iterator[Yard]:
    found = Yard(tmp_path_factory.mktemp("ncmp"))
    with found.server:
        yield found


@pytest.fixture
def yard(running_yard) -> Yard:
    """A server that plays NCMP and knows no targets."""
    running_yard.begin(uuid4().hex[:8])
    return running_yard
