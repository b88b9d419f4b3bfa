"""One server for the tests of this folder; each makes what it needs."""

from collections.abc import Iterator

import pytest

from apis.qinling.yard import Yard


@pytest.fixture(scope="package")
def yard(tmp_path_factory) -> Iterator[Yard]:
    found = Yard(tmp_path_factory.mktemp("qinling"))
    with found.server:
        yield found


@pytest.fixture(scope="package")
def function(yard) -> str:
    """A function of ann's project."""
    id_: str = yard.function()["id"]
    return id_
