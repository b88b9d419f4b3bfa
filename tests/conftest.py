"""Gives every test the marker of what it costs, by the folder it lies in."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How fast a machine is proves nothing: no example fails for being slow.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

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
    "observe": "pure",
    "outbound": "rpc",
    "rpc": "rpc",
    "server": "process",
    "store": "store",
    "transcoding": "rpc",
    "usecases": "store",
    "worker": "process",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(HERE).parts[0] if item.path.parent != HERE else "."
        if folder not in COST:
            raise pytest.UsageError(f"tests/{folder}: say in tests/conftest.py what its tests cost")
        item.add_marker(COST[folder])
