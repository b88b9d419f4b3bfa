"""One server for all tests of this folder, emptied before each of them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from apis.dataone.yard import FIXTURES, Yard

CASES = json.loads((Path(__file__).parent / "vectors" / "cases.json").read_text())
EXTRA_USERS = {name: says for case in CASES for name, says in case.get("given", {}).get("extra_users", {}).items()}
# Grants are not taken back between tests: one user is there to get them.
USERS = {**FIXTURES["users"], **EXTRA_USERS, "gus": {"roles": []}}


@pytest.fixture(scope="package")
def running_yard(tmp_path_factory) -> Iterator[Yard]:
    found = Yard(tmp_path_factory.mktemp("dataone"), users=USERS)
    found.start()
    try:
        found.apply(FIXTURES["contracts"])
        yield found
    finally:
        found.stop()


@pytest.fixture
def yard(running_yard) -> Yard:
    running_yard.reset()
    return running_yard
