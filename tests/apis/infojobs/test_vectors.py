"""Every vector, against a running server and peers on loopback."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from apis.infojobs.yard import Yard, eventually
from support.ports import free_port

CASES = json.loads((Path(__file__).parent / "vectors" / "cases.json").read_text())


@pytest.fixture(scope="module")
def running_yard(tmp_path_factory, peers) -> Iterator[Yard]:
    """One server for all vectors, which tells consumers as little as the original did."""
    found = Yard(tmp_path_factory.mktemp("infojobs"), peers, JOBYARD_PROFILES="ics-silent-start")
    found.server.start()
    try:
        yield found
    finally:
        found.stop()


@pytest.fixture
def silent_yard(running_yard) -> Yard:
    running_yard.empty()
    return running_yard


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_vector(silent_yard, case):
    Play(silent_yard).case(case)


@pytest.mark.parametrize("case", [case for case in CASES if "differs" in case], ids=lambda case: case["id"])
def test_the_original_is_brought_back_by_a_profile(tmp_path, simulator, case):
    yard = Yard(tmp_path, simulator, JOBYARD_PROFILES=f"ics-silent-start,{case['differs']['profile']}")
    yard.server.start()
    try:
        Play(yard).case(case, recorded=True)
    finally:
        yard.stop()


class Play:
    """One vector while it is played."""

    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        self.down = f"http://127.0.0.1:{free_port()}"

    def case(self, case: Mapping[str, Any], *, recorded: bool = False) -> None:
        """Play it; ``recorded``: where we differ from the original, expect what was recorded of it nevertheless."""
        case = self.filled(case)
        for step in case["given"]:
            if "http" in step:
                answer = self.send(step["http"])
                assert answer.status == step["expect_status"], answer
            else:
                self.act(step)
        answer = self.send(case["request"])
        # Where we differ from the original on purpose, `differs` says why, what is expected of us, and which profile
        # brings the original back.
        expect = case["differs"]["expect"] if "differs" in case and not recorded else case["expect"]
        self.check(answer, expect)
        later = expect.get("eventually", [])
        for one in later:
            eventually(lambda one=one: self.follow(one), 6 * float(one.get("timeout_s", 10)))
        for one in later:
            # Also what was true at once has to stay so, such as that nothing was sent.
            self.follow(one)

    def filled(self, case: Mapping[str, Any]) -> Any:
        text = json.dumps(case).replace("${SIM}/authz/down", self.down)
        return json.loads(text.replace("${SIM}", self.yard.simulator.url))

    def send(self, request: Mapping[str, Any]):
        assert request.keys() <= {"method", "path", "query", "body", "raw_body", "content_type", "headers"}
        headers = dict(request.get("headers") or {})
        if request.get("content_type"):
            headers["Content-Type"] = request["content_type"]
        raw = request["raw_body"].encode() if "raw_body" in request else None
        return self.yard.ask(
            request["method"], request["path"], request.get("body"), query=request["query"], headers=headers, raw=raw
        )

    def act(self, step: Mapping[str, Any]) -> None:
        match step["action"]:
            case "run_supervision":
                self.yard.run_supervision()
            case "restart_service":
                self.yard.restart()
            case "sim_set":
                for name, kind in (("job_create_status", "jobs"), ("health_status", "health")):
                    if name in step:
                        self.yard.simulator.statuses[step["producer"], kind] = step[name]
            case "configure":
                assert step.keys() <= {"action", "auth_agent_url"}
                agents = json.dumps({"infojobs": step["auth_agent_url"]})
                self.yard.restart(JOBYARD_AUTHORIZATION_AGENTS=agents)
            case other:
                raise AssertionError(f"unknown action {other}")

    def check(self, answer, expect: Mapping[str, Any]) -> None:
        assert answer.status == expect["status"], answer
        for name, wanted in expect.items():
            assert COMPARE[name](answer, wanted), (name, answer)

    def follow(self, one: Mapping[str, Any]) -> None:
        if "http" in one:
            self.check(self.send(one["http"]), one)
            return
        said = one["callback"]
        assert said.keys() <= {"method", "url", "count", "last_body_contains", "last_body_equal"}
        path = said["url"].removeprefix(self.yard.simulator.url)
        heard = self.yard.simulator.heard(said["method"], path)
        assert len(heard) == said["count"], heard
        if "last_body_contains" in said:
            assert contains(heard[-1].json, said["last_body_contains"]), heard[-1].body
        if "last_body_equal" in said:
            assert heard[-1].json == said["last_body_equal"]


def unordered(value: Any) -> Any:
    """Top-level arrays come in any order."""
    return sorted(value, key=json.dumps) if isinstance(value, list) else value


def contains(found: Any, wanted: Any) -> bool:
    """Whether everything wanted is found, in objects also beside other things."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            name in found and contains(found[name], value) for name, value in wanted.items()
        )
    return bool(found == wanted)


COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "content_type": lambda answer, wanted: answer.media_type == wanted,
    "content_type_not": lambda answer, wanted: answer.media_type != wanted,
    "body_equal": lambda answer, wanted: unordered(answer.json) == unordered(wanted),
    "body_equal_unordered": lambda answer, wanted: sorted(answer.json) == sorted(wanted),
    "body_contains": lambda answer, wanted: contains(answer.json, wanted),
    "detail_contains": lambda answer, wanted: wanted in answer.json["detail"],
    "body_empty": lambda answer, wanted: (answer.body == b"") is wanted,
    "body_has_fields": lambda answer, wanted: set(wanted) <= answer.json.keys(),
    "array_length": lambda answer, wanted: len(answer.json) == wanted,
    "body_array_unordered": lambda answer, wanted: all(
        sorted(answer.json[name]) == sorted(values) for name, values in wanted.items()
    ),
    "min_latency_ms": lambda answer, wanted: answer.seconds * 1000 >= wanted,
    # Looked at elsewhere.
    **dict.fromkeys(("status", "eventually", "http", "timeout_s"), lambda _answer, _wanted: True),
}
