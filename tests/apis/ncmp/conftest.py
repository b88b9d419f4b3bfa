"""A server that plays NCMP and two DMI services, for the tests of this folder."""

from collections.abc import Iterator

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


@pytest.fixture
def yard(tmp_path) -> Iterator[Yard]:
    """A server of its own."""
    found = Yard(tmp_path)
    found.server.start()
    try:
        yield found
    finally:
        found.server.stop()
