"""Every vector, against a running server and peers on loopback."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from apis.infojobs.yard import Yard, eventually
from support.ports import free_port

AGENT = "/authz/agent"
"""Whom servers ask that ask somebody; what it answers changes from case to case, and within them."""
CASES = json.loads((Path(__file__).parent / "vectors" / "cases.json").read_text())


@pytest.fixture(scope="module")
def silent_yards(tmp_path_factory, peers) -> Iterator[Callable[[str], Yard]]:
    """A server that asks an agent, and one that does not; they tell consumers as little as the original did."""
    with ExitStack() as stack:

        @cache
        def yard_of(agent: str) -> Yard:
            settings = asking(agent) if agent else {}
            found = Yard(tmp_path_factory.mktemp("infojobs"), peers, JOBYARD_PROFILES="ics-silent-start", **settings)
            found.server.start()
            stack.callback(found.stop)
            return found

        yield yard_of


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_vector(silent_yards, peers, case):
    asked = any(step.get("action") == "configure" for step in case["given"])
    # Until the case has it otherwise, the agent allows everything.
    yard = silent_yards(peers.url + AGENT if asked else "")
    yard.empty()
    Play(yard).case(case)


@pytest.mark.parametrize("case", [case for case in CASES if "differs" in case], ids=lambda case: case["id"])
def test_the_original_is_brought_back_by_a_profile(tmp_path, simulator, case):
    yard = Yard(tmp_path, simulator, JOBYARD_PROFILES=f"ics-silent-start,{case['differs']['profile']}")
    yard.server.start()
    try:
        Play(yard).case(case, recorded=True)
    finally:
        yard.stop()


def asking(agent: str) -> dict[str, str]:
    return {"JOBYARD_AUTHORIZATION_AGENTS": json.dumps({"infojobs": agent})}


class Play:
    """One vector while it is played."""

    def __init__(self, yard: Yard) -> None:
        self.yard = yard

    def case(self, case: Mapping[str, Any], *, recorded: bool = False) -> None:
        """Play it; ``recorded``: where we differ from the original, expect what was recorded of it nevertheless."""
        case = json.loads(json.dumps(case).replace("${SIM}", self.yard.simulator.url))
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
                assert step.keys() == {"action", "auth_agent_url"}
                agent = step["auth_agent_url"].rpartition("/")[2]
                if agent == "down":
                    self.yard.restart(**asking(f"http://127.0.0.1:{free_port()}"))
                else:
                    self.yard.simulator.become_agent(allows={"ok": True, "reject": False}[agent])
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
        if path.startswith("/authz/"):
            path = AGENT
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
