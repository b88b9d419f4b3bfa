"""Gives every test the marker of what it costs, by the folder it lies in."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from support.postgres import Cluster
from support.schema import new_file

# How fast a machine is proves nothing: no example fails for being slow.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

# Failures are logged with their traceback. Drawing all its variables takes seconds, in which all else in the process
# stands still, transactions of PostgreSQL too.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL server. What it loses when the machine stops, no test misses."""
    with Cluster(fsync="off") as started:
        yield started


KINDS = os.environ.get("DATABASES", "sqlite,postgresql").split(",")


@pytest.fixture(params=KINDS)
def database_kind(request: pytest.FixtureRequest) -> str:
    """What the store is kept in. A test of one kind alone is marked ``only("sqlite")`` or ``only("postgresql")``."""
    only = request.node.get_closest_marker("only")
    if only is not None and only.args[0] != request.param:
        pytest.skip(f"about {only.args[0]} alone")
    return str(request.param)


@pytest.fixture
def url(database_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database that has the schema and nothing in it."""
    if database_kind == "sqlite":
        yield new_file(tmp_path / "store.db")
        return
    cluster = request.getfixturevalue("cluster")
    made = cluster.new_store()
    yield made
    cluster.drop_database(made)


HERE = Path(__file__).parent
COST = {
    ".": "tree",
    "apis": "api",
    "callers": "pure",
    "cli": "process",
    "console": "rpc",
    "domain": "pure",
    "e2e": "process",
    "engine": "store",
    "faults": "process",
    "observe": "pure",
    "outbound": "rpc",
    "rpc": "rpc",
    "server": "process",
    "store": "store",
    "transcoding": "rpc",
    "usecases": "store",
    "worker": "process",
}


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: a test that starts programs waits for them a part of its time."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if folder_of(item) not in COST:
            raise pytest.UsageError(f"tests/{folder_of(item)}: say in tests/conftest.py what its tests cost")
        item.add_marker(COST[folder_of(item)])
    # Files with few and long tests begin first: nothing is left to run beside the last of them.
    items.sort(key=lambda item: COST[folder_of(item)] != "process")


def folder_of(item: pytest.Item) -> str:
    """Name the folder of the tests that a test lies in."""
    return item.path.relative_to(HERE).parts[0] if item.path.parent != HERE else "."
