"""What happens at due times, beyond what Qinling recorded: nothing is lost, nothing stops others."""

from datetime import UTC, datetime, timedelta

import pytest

from apis.qinling.frozen.field import START
from apis.qinling.frozen.test_vectors import check_tick, until

FUNCTION = "11111111-1111-4111-8111-111111111111"
FIRST = "aaaaaaaa-0000-4000-8000-000000000001"
SECOND = "aaaaaaaa-0000-4000-8000-000000000002"


def at(seconds):
    shown = datetime.fromisoformat(START).astimezone(UTC) + timedelta(seconds=seconds)
    return shown.strftime("%Y-%m-%dT%H:%M:%SZ")


def job(id_=FIRST, due=0, **members):
    usual = {
        "id": id_, "name": None, "function_id": FUNCTION, "function_alias": None, "function_version": 0,
        "function_input": None, "status": "running", "pattern": "* * * * *", "count": None, "project_id": "default",
        "first_execution_time": at(due), "next_execution_time": at(due),
    }  # fmt: skip
    return {**usual, **members}


def given(*jobs, aliases=()):
    functions = [{"id": FUNCTION, "project_id": "default", "versions": [1, 2]}]
    return {"now": at(-60), "functions": functions, "aliases": aliases, "jobs": list(jobs)}


def alias(version):
    return {"name": "prod", "function_id": FUNCTION, "function_version": version}


def versions(field, id_=FIRST):
    found = field.get(f"/v1/executions?description=has:{id_}")["executions"]
    return [each["function_version"] for each in found]


@pytest.mark.parametrize("broken", [{"function_alias": "gone", "function_id": None}, {"function_version": 9}])
def test_a_job_that_leads_nowhere_keeps_no_other_from_its_time(field, broken):
    field.plant(given(job(FIRST, due=-30, **broken), job(SECOND, due=0)))
    field.tick(at(0))
    assert until(lambda: versions(field, SECOND), [0]) == [0]
    assert versions(field, FIRST) == []
    # It goes on too: the next time may find what is missing now.
    assert field.get(f"/v1/jobs/{FIRST}")["status"] == "running"
    assert field.get(f"/v1/jobs/{FIRST}")["next_execution_time"] > at(0)


def test_an_alias_is_followed_at_each_time(field):
    field.plant(given(job(function_alias="prod", function_id=None), aliases=[alias(1)]))
    field.tick(at(0))
    assert until(lambda: versions(field), [1]) == [1]
    answer = field.ask("PUT", "/v1/aliases/prod", b'{"function_version": 2}', {"Content-Type": "application/json"})
    assert answer.status == 200, answer.body
    field.tick(at(30))
    assert until(lambda: versions(field), [1, 2]) == [1, 2]
    found = field.get(f"/v1/executions?description=has:{FIRST}")["executions"]
    assert [(each["function_id"], each["function_alias"]) for each in found] == [(FUNCTION, None)] * 2


def test_nothing_is_executed_early(field):
    field.plant(given(job(due=0)))
    field.tick(at(-1))
    assert versions(field) == []
    field.tick(at(0))
    assert until(lambda: versions(field), [0]) == [0]


def test_what_was_missed_is_made_up_for_once(field):
    field.plant(given(job(due=0, pattern="*/5 * * * *", count=5)))
    field.tick(at(3600))
    assert until(lambda: versions(field), [0]) == [0]
    found = field.get(f"/v1/jobs/{FIRST}")
    assert (found["status"], found["count"], found["next_execution_time"]) == ("running", 4, "2026-01-15T11:05:00Z")


def test_a_job_with_a_count_ends_after_its_last_execution(field):
    field.plant(given(job(due=0, pattern="* * * * * */10", count=3)))
    for seconds in (0, 10, 20, 30):
        field.tick(at(seconds))
    last = {"status": "done", "count": 0, "next_execution_time": at(20)}
    check_tick(field, {"jobs": {FIRST: last}, "executions": [{"job": FIRST, "count": 3, "status": "success"}]})


def test_a_paused_job_waits_and_goes_on_from_now(field):
    field.plant(given(job(due=0, pattern="* * * * * */10")))
    put = {"Content-Type": "application/json"}
    assert field.ask("PUT", f"/v1/jobs/{FIRST}", b'{"status": "paused"}', put).status == 200
    field.tick(at(35))
    assert versions(field) == []
    body = b'{"status": "running", "pattern": "*/2 * * * *"}'
    assert field.ask("PUT", f"/v1/jobs/{FIRST}", body, put).json["next_execution_time"] == "2026-01-15T10:02:00Z"
    field.tick(at(90))
    assert until(lambda: versions(field), [0]) == [0]
