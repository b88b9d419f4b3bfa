"""The job as Data One clients see it: its status words, and members that are always there."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from jobyard.dataone.v1 import job_pb2
from jobyard_server.apis.dataone import API
from jobyard_server.apis.dataone.mapping import job_message
from jobyard_server.domain.job import Job
from jobyard_server.domain.state import Actor, Control, Counters, Mode, State, may_change

FIXTURES = json.loads((Path(__file__).parent / "vectors" / "fixtures.json").read_text())
STATES = json.loads((Path(__file__).parent / "vectors" / "states.json").read_text())

BARE = Job(
    number=7, uid="0190-uid", api="dataone", tenant="default", external_id=None, mode=Mode.ONCE, state=State.PENDING,
    state_word="SUBMITTED", reason="", message="", control=Control(), counters=Counters(pending=1), generation=1,
    revision=1, definition="", definition_version=0, queue="default", priority=0, fair_key="", display_name="",
    spec="{}", attributes={}, labels={}, resumable=True, created_by="alice", created_at=1, updated_at=2,
    started_at=None, finished_at=None, expires_at=None, last_event=1,
)  # fmt: skip


def test_every_state_has_a_status_and_every_status_a_state():
    assert set(API.words) == set(State)
    spelled = {value.name.removeprefix("JOB_STATUS_") for value in job_pb2.JobStatus.DESCRIPTOR.values if value.number}
    assert set(API.words.values()) == spelled


@pytest.mark.parametrize("state", State)
def test_the_status_follows_the_state(state):
    found = job_message(replace(BARE, state=state)).status
    assert job_pb2.JobStatus.Name(found) == f"JOB_STATUS_{API.words[state]}"


def states_of(word: str) -> list[State]:
    return [state for state, known in API.words.items() if known == word and state is not State.PARTIALLY_FAILED]


@pytest.mark.parametrize("status", next(row["from"] for row in STATES["user"] if row["action"] == "ABORT"))
def test_a_user_may_abort_whatever_is_not_final(status):
    ends = {State.CANCELLED, State.CANCELLING}
    assert all(state in ends or any(may_change(state, end, Actor.USER) for end in ends) for state in states_of(status))


@pytest.mark.parametrize("status", ["SUSPENDED", "ERROR"])
def test_a_user_may_resume_what_stands_still(status):
    assert all(may_change(state, State.PENDING, Actor.USER) for state in states_of(status))


def test_what_is_completed_cannot_be_aborted():
    assert not any(may_change(State.SUCCEEDED, end, Actor.USER) for end in State)


@pytest.mark.parametrize("state", [state for state in State if state is not State.PARTIALLY_FAILED])
def test_only_completed_and_aborted_are_final(state):
    assert replace(BARE, state=state).terminal == (API.words[state] in STATES["terminal"])


def test_the_members_are_those_of_the_vectors_in_their_order():
    def members(message) -> list[str]:
        return [field.json_name for field in message.DESCRIPTOR.fields]

    assert members(job_pb2.Job) == FIXTURES["job_members"]
    assert members(job_pb2.WorkflowInstance) == FIXTURES["workflow_instance_members"]
    assert members(job_pb2.DataflowContext) == FIXTURES["dfic_members"]


def test_what_an_import_left_out_is_empty():
    found = job_message(BARE)
    assert (found.contract, found.actor, found.ext_ipid, found.dfic.dfiid) == ("", "", "", "")
    assert found.HasField("contract_action_workflow_instance")
    assert found.HasField("dfic")
    assert found.contract_action_workflow_instance.id == "0190-uid"


def test_what_an_import_got_wrong_does_no_harm():
    attributes = {"contract": 7, "workflow_template_id": "seven", "ext_ipid": None}
    spec = json.dumps(
        {"user_attrs": {"a": "1", "b": 2}, "workflow_instance_id": 9, "workflow_template_description": []}
    )
    found = job_message(replace(BARE, attributes=attributes, spec=spec))
    assert (found.contract, found.ext_ipid) == ("", "")
    assert found.contract_action_workflow_instance == job_pb2.WorkflowInstance(id="0190-uid")
    assert found.dfic.user_attrs == {"a": "1"}


def test_times_keep_their_microseconds():
    found = job_message(replace(BARE, created_at=-1_500_000, updated_at=1_711_456_230_500_001))
    assert (found.created_at.seconds, found.created_at.nanos) == (-2, 500_000_000)
    assert found.updated_at.ToJsonString() == "2024-03-26T12:30:30.500001Z"
