"""Every vector, ticks included, against a running server over HTTP whose clock stands still."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from apis.qinling.frozen.field import CALLERS, PATIENCE, Answer, Field
from jobyard_server.apis.qinling.executions import shown_input

VECTORS = Path(__file__).parent.parent / "vectors"
CASES = json.loads((VECTORS / "cases.json").read_text())
DIFFERENCES = json.loads((VECTORS / "differences.json").read_text())
T = TypeVar("T")
ERROR_KEYS = {"faultcode", "faultstring", "debuginfo"}


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_vector(field, case):
    field.plant(case["given"])
    expected = DIFFERENCES.get(case["id"], case)["expect"]
    steps, expects = (one if isinstance(one, list) else [one] for one in (case["request"], expected))
    for step, expect in zip(steps, expects, strict=True):
        if step.get("op") == "tick":
            field.tick(step["at"])
            check_tick(field, expect)
        else:
            check_answer(send(field, case["given"], step), expect)


def test_differences_are_of_vectors_there_are():
    assert DIFFERENCES.keys() <= {case["id"] for case in CASES}
    assert all(case["expect"] != DIFFERENCES.get(case["id"], {}).get("expect") for case in CASES)


def send(field: Field, given: Mapping[str, Any], step: Mapping[str, Any]) -> Answer:
    headers = {"Accept": "application/json"}
    body = step["raw_body"].encode() if "raw_body" in step else None
    if "body" in step:
        body = json.dumps(step["body"]).encode()
        headers["Content-Type"] = "application/json"
    if given.get("auth_enabled"):
        caller = given["caller"]
        headers["X-Auth-Token"] = CALLERS[caller["project_id"], tuple(caller["roles"])]
    return field.ask(step["method"], step["path"], body, headers | step.get("headers", {}))


def check_answer(answer: Answer, expect: Mapping[str, Any]) -> None:
    assert answer.status == expect["status"], answer.body
    for key, value in expect.items():
        match key:
            case "status":
                pass
            case "body_contains":
                found = answer.json
                assert {name: found[name] for name in value} == value
            case "body":
                assert answer.json == value
            case "empty_body":
                assert (answer.body, "content-type" in answer.headers) == (b"", False)
            case "list_ids":
                assert [job["id"] for job in answer.json["jobs"]] == value
            case "list_len":
                assert len(answer.json["jobs"]) == value
            case "error":
                check_error(answer.json, value)
            case _:
                raise AssertionError(f"what is {key}?")


def check_error(found: Mapping[str, Any], expect: Mapping[str, Any]) -> None:
    assert found.keys() == ERROR_KEYS
    assert found["debuginfo"] is None
    assert found["faultcode"] == expect["faultcode"]
    if "faultstring" in expect:
        assert found["faultstring"] == expect["faultstring"]
    else:
        assert expect["faultstring_contains"] in found["faultstring"]


def check_tick(field: Field, expect: Mapping[str, Any]) -> None:
    """What has to hold after a tick; executions take a moment to succeed."""
    assert expect.keys() <= {"jobs", "executions", "execution_order"}
    for id_, members in expect["jobs"].items():
        assert until(partial(shown, field, id_, members), members) == members
    for wanted in expect["executions"]:
        check_executions(field, wanted)
    if "execution_order" in expect:
        found = field.get("/v1/executions")["executions"]
        assert [each["description"].removeprefix("Created by Job ") for each in found] == expect["execution_order"]


def shown(field: Field, id_: str, members: Mapping[str, Any]) -> dict[str, Any]:
    found = field.get(f"/v1/jobs/{id_}")
    return {name: found[name] for name in members}


def until(look: Callable[[], T], wanted: T) -> T:
    """What is seen when it is what is wanted, or at the end of all patience."""
    deadline = time.monotonic() + PATIENCE
    while (found := look()) != wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def check_executions(field: Field, wanted: Mapping[str, Any]) -> None:
    found = executions(field, wanted)
    assert len(found) == wanted["count"]
    for name, value in wanted.items():
        if name == "stored_input":
            assert found[-1]["input"] == shown_input(value)
        elif name not in {"job", "count"}:
            assert found[-1][name] == value


def executions(field: Field, wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    def settled() -> bool:
        found[:] = field.get(f"/v1/executions?description=has:{wanted['job']}")["executions"]
        done = "status" not in wanted or all(each["status"] != "running" for each in found)
        return len(found) == wanted["count"] and done

    until(settled, wanted=True)
    return found
