"""A job to look at, for tests that need one with nothing stored."""

import pytest

from jobyard_server.domain.job import Job
from jobyard_server.domain.state import Control, Counters, Mode, State

PLAIN = {
    "number": 1, "uid": "u", "api": "jobs", "tenant": "t", "external_id": None, "mode": Mode.ONCE,
    "state": State.PENDING, "state_word": "PENDING", "reason": "", "message": "", "control": Control(),
    "counters": Counters(pending=1), "generation": 1, "revision": 1, "definition": "", "definition_version": 0,
    "queue": "default", "priority": 0, "fair_key": "", "display_name": "", "spec": "{}", "attributes": {},
    "labels": {}, "resumable": False, "created_by": "ann", "created_at": 0, "updated_at": 0, "started_at": None,
    "finished_at": None, "expires_at": None, "last_event": 1,
}  # fmt: skip


@pytest.fixture(scope="session")
def make_job():
    return lambda **said: Job(**{**PLAIN, **said})
