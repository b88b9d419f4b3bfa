"""What a scheduled job makes is what the same submit without a schedule makes, field by field."""

from dataclasses import replace

import pytest

from jobyard.jobs.v1 import job_submit_pb2, schedule_pb2
from jobyard_server.apis.jobs import mapping_submit
from jobyard_server.apis.jobs.template import make_jobs
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.schedule import Schedule
from jobyard_server.domain.state import State
from jobyard_server.store import rows
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.drafts import resolve
from jobyard_server.usecases.ports import DueTime

CALL = Call(Principal("ann", "acme"), "jobs")
FULL = {
    "definition": "",
    "queue": "q",
    "display_name": "näme\n",
    "priority": 7,
    "fair_key": "f",
    "labels": {"k": "v", "payload": "x"},
    "retry": {"max_attempts": 3, "multiplier": 1.5, "non_retryable_reasons": ["A", "B"]},
    "limits": {"start": {"seconds": 1}, "attempt": {"seconds": 2}, "total": {"seconds": 4}},
    "expires_after": {"seconds": 0},
}


class Clock:
    """All that is read of a store here."""

    async def now(self):
        return 0


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"payload": '{"a": 1.0, "payload": [1,  2]}'},
        {"payload": "null"},
        {**FULL, "payload": '"\\u0000"'},
        {**FULL, "subjobs": [{"payload": "1.50", "key": "a", "queue": "z"}, {"payload": ""}]},
    ],
)
async def test_a_template_keeps_all_that_was_said(said):
    plain = await resolve(Clock(), CALL, mapping_submit.draft(job_submit_pb2.SubmitJobRequest(**said)))
    schedule = schedule_pb2.Schedule(cron="* * * * *")
    draft = mapping_submit.draft(job_submit_pb2.SubmitJobRequest(**said, schedule=schedule))
    parent = await resolve(Clock(), CALL, draft)
    assert (parent.subjobs, parent.schedule.schedule) == ((), Schedule(cron="* * * * *"))
    job = rows.job(rows.new_job(parent, 5, "uid", 0, state=State.RUNNING, word="", last_event=1))
    (made,) = await make_jobs(Clock(), [DueTime(job, 60)])
    assert made == replace(plain, parent=5, due_at=60)


def test_no_field_of_a_submit_is_forgotten():
    """A new field belongs into the template as well, or into this list."""
    of_the_schedule = {"mode", "schedule", "idempotency_key"}
    known = {field.name for field in job_submit_pb2.SubmitJobRequest.DESCRIPTOR.fields}
    tried = {*FULL, "payload", "subjobs", "definition_version"}
    assert known - of_the_schedule == tried
