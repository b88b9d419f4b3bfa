"""Every vector, against a running server over HTTP."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from apis.viya.expectations import check
from apis.viya.yard import Answer, Yard

CASES = json.loads((Path(__file__).parent / "vectors" / "cases.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_vector(yard, case):
    saved: dict[str, str] = {}
    for step in case["given"]:
        if "sleep" in step:
            time.sleep(step["sleep"])
            continue
        answer = play(yard, step, saved)
        assert answer.status < 400, answer.body
        for name, where in step.get("save", {}).items():
            kind, _, key = where.partition(":")
            saved[name] = answer.json[key] if kind == "json" else answer.headers[key.lower()]
    check(play(yard, case["request"], saved), filled(case["expect"], saved))


def play(yard: Yard, said: Mapping[str, Any], saved: Mapping[str, str]) -> Answer:
    assert said.keys() <= {"method", "path", "headers", "json", "text", "save"}
    step = filled(said, saved)
    return yard.ask(
        step["method"], step["path"], body=step.get("json"), text=step.get("text"), headers=step.get("headers")
    )


def filled(value: Any, saved: Mapping[str, str]) -> Any:
    """The same with what was saved put in."""
    if isinstance(value, str):
        return re.sub(r"\$\{(\w+)\}", lambda found: saved[found[1]], value)
    if isinstance(value, list):
        return [filled(each, saved) for each in value]
    if isinstance(value, dict):
        return {name: filled(each, saved) for name, each in value.items()}
    return value
