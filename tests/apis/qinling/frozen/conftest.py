"""A server whose clock stands still where a test sets it. The tests need libfaketime: `make frozen` finds it."""

import os
from collections.abc import Iterator

import pytest

from apis.qinling.frozen.field import Field

LIBRARY = os.environ.get("FAKETIME_LIBRARY", "")

if not LIBRARY:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="package")
def running_field(tmp_path_factory) -> Iterator[Field]:
    found = Field(tmp_path_factory.mktemp("qinling"), LIBRARY)
    found.start()
    try:
        yield found
    finally:
        found.stop()


@pytest.fixture
def field(running_field):
    running_field.clear()
    return running_field
