"""Contracts: what is refused when they are put, and what their jobs take from them."""

import json

import pytest

from jobyard_server.apis.dataone import API
from jobyard_server.apis.dataone.contract import actions, check_contract
from jobyard_server.domain.reason import Reason, Refused

ACTION = {"name": "pull", "trigger": "OnDemand", "template": {"id": 7, "name": "exec", "revision": 2}}


def contract(*changes: dict, **members) -> str:
    found = [ACTION | change for change in changes or [{}]]
    return json.dumps({"type": "Input", "actor": "POLLUX", "actions": found} | members)


def test_an_action_carries_what_its_jobs_take_over():
    found = actions("In", contract({"variables": {"a": "1", "n": 10**30}}))["pull"]
    assert found.trigger == "OnDemand"
    assert dict(found.variables) == {"a": '"a":"1"', "n": f'"n":{10**30}'}
    assert found.attributes == {
        "actor": "POLLUX",
        "contract": "In",
        "contract_type": "Input",
        "contract_action": "pull",
        "contract_action_trigger": "OnDemand",
        "workflow_template_id": 7,
        "workflow_template_name": "exec",
        "workflow_template_revision": 2,
    }
    assert set(found.attributes) | {"dfiid", "lcid", "ext_ipid"} == set(API.fields.attributes)


def test_a_changed_contract_is_read_anew():
    assert actions("In", contract(actor="A"))["pull"].attributes["actor"] == "A"
    assert actions("In", contract(actor="B"))["pull"].attributes["actor"] == "B"
    assert actions("Out", contract(actor="B"))["pull"].attributes["contract"] == "Out"


def test_names_may_hold_anything():
    assert set(actions("A", contract({"name": "B|C"}, {"name": "B\0C"}, {"name": "é"}))) == {"B|C", "B\0C", "é"}


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ("[]", ""),
        ("{}", ".type"),
        (contract(type=""), ".type"),
        (contract(type=1), ".type"),
        (contract(actor=None), ".actor"),
        (contract(enabled=True), ".enabled"),
        (contract(actions=[]), ".actions"),
        (contract(actions={}), ".actions"),
        (contract(actions=["pull"]), ".actions[0]"),
        (contract({}, {}), ".actions"),
        (contract({"name": ""}), ".actions[0].name"),
        (contract({}, {"name": "x", "trigger": ""}), ".actions[1].trigger"),
        (contract({"triger": "Time"}), ".actions[0].triger"),
        (contract({"variables": "a=1"}), ".actions[0].variables"),
        (contract({"variables": {"a": 1e999}}).replace("Infinity", "1e999"), ".actions[0].variables"),
        (contract({"template": None}), ".actions[0].template"),
        (contract({"template": {"id": 7}}), ".actions[0].template.name"),
        (contract({"template": {"id": "7", "name": "exec"}}), ".actions[0].template.id"),
        (contract({"template": {"id": True, "name": "exec"}}), ".actions[0].template.id"),
        (contract({"template": {"id": 2**63, "name": "exec"}}), ".actions[0].template.id"),
        (contract({"template": {"name": "exec", "revision": 1.5}}), ".actions[0].template.revision"),
    ],
)
def test_a_contract_no_job_could_be_made_of_is_refused(spec, field):
    with pytest.raises(Refused) as caught:
        check_contract(spec)
    assert caught.value.refusal.reason is Reason.INVALID_FIELD
    assert [violation.field for violation in caught.value.refusal.violations] == [f"definition.spec{field}"]


def test_the_check_is_registered():
    assert API.checks == {"contract": check_contract}
