"""One server for all tests of this folder."""

from collections.abc import Iterator

import pytest

from apis.viya.yard import Yard


@pytest.fixture(scope="package")
def yard(tmp_path_factory) -> Iterator[Yard]:
    found = Yard(tmp_path_factory.mktemp("viya"), JOBYARD_RETENTION_CHECK_SECONDS="0.2")
    found.start()
    try:
        yield found
    finally:
        found.stop()
