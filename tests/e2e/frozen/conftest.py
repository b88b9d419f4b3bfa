"""Servers whose clock a test sets. The tests need libfaketime: `make frozen` finds it."""

import os

import pytest

from support.clocks import SetClock

LIBRARY = os.environ.get("FAKETIME_LIBRARY", "")

if not LIBRARY:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def clock(tmp_path):
    return SetClock(tmp_path, LIBRARY)
