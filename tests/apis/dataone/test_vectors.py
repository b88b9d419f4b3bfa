"""Every vector, against a running server over HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urljoin

import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.message import Message

from apis.dataone.expectations import check_answer, check_parallel, check_walk, ids_of
from apis.dataone.yard import PATIENCE, Answer, Yard, rows_of
from jobyard.dataone.v1 import job_service_pb2

CASES = json.loads((Path(__file__).parent / "vectors" / "cases.json").read_text())
MOST_PAGES = 250


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_vector(yard, case):
    given = case.get("given", {})
    assert given.keys() <= {"dataset", "extra_users"}
    yard.load(rows_of(given.get("dataset", "EMPTY")))
    play = Play(yard)
    for step in case["steps"]:
        play.step(step)


class Play:
    """One vector while it is played."""

    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        self.saved: dict[str, str] = {}
        self.target = ""
        self.next = ""

    def step(self, step: Mapping[str, Any]) -> None:
        expect = step.get("expect", {})
        if "request" in step:
            answer = self.request(step)
            check_answer(answer, expect, self.saved)
            self.keep(answer)
            if "grpc_code" in expect:
                self.check_grpc(step["as"], step["request"], expect["grpc_code"])
        elif "follow_next" in step:
            answer = self.follow(step["follow_next"])
            check_answer(answer, expect, self.saved)
            if not step["follow_next"].get("keep"):
                self.keep(answer)
        elif "parallel" in step:
            check_parallel(self.parallel(step["parallel"]), expect | step["parallel"].get("expect", {}))
        elif "walk" in step:
            self.walk(step["walk"], step["walk"].get("expect", {}) | expect)
        else:
            [(name, value)] = step["control"].items()
            self.control(name, value)

    # --- requests ------------------------------------------------------------------------------------------------

    def request(self, step: Mapping[str, Any]) -> Answer:
        request = step["request"]
        assert request.keys() <= {"method", "path", "query_raw", "headers", "body_json", "body_raw"}
        self.target = f"{request['path']}?{request['query_raw']}" if request.get("query_raw") else request["path"]
        body = json.dumps(request["body_json"]).encode() if "body_json" in request else None
        if "body_raw" in request:
            body = request["body_raw"].encode()
        return self.yard.ask(step["as"], request["method"], self.target, body, request.get("headers"))

    def keep(self, answer: Answer) -> None:
        """Remember where the next page is."""
        body = answer.json
        self.next = urljoin(self.target, body["next"]) if isinstance(body, dict) and "next" in body else ""

    def follow(self, how: Mapping[str, Any]) -> Answer:
        assert how.keys() <= {"as", "add", "keep"}
        assert self.next
        added = "".join(f"&{name}={quote(value, safe='')}" for name, value in how.get("add", {}).items())
        target = self.next + added
        if not how.get("keep"):
            self.target = target
        return self.yard.ask(how["as"], "GET", target)

    def parallel(self, said: Mapping[str, Any]) -> list[Answer]:
        steps = said.get("steps") or [said["step"]] * said["count"]
        with ThreadPoolExecutor(len(steps)) as pool:
            return list(pool.map(self.request, steps))

    def walk(self, said: Mapping[str, Any], expect: Mapping[str, Any]) -> None:
        initial = [str(number) for number in self.yard.ids("maxItems=1000")]
        target = f"{said['path']}?{said['query_raw']}"
        pages = []
        while target:
            answer = self.yard.ask(said["as"], "GET", target)
            assert answer.status == 200, answer
            pages.append(ids_of(answer))
            assert len(pages) <= MOST_PAGES, "the walk does not end"
            following = answer.json.get("next")
            target = urljoin(target, following) if following else ""
            if target:
                for name, value in said.get("between_pages", {}).items():
                    self.control(name, value)
        check_walk(pages, initial, expect)

    # --- what happens besides ------------------------------------------------------------------------------------

    def control(self, name: str, value: Any) -> None:
        match name:
            case "set_job":
                number = int(self.saved[value["ref"]])
                self.yard.set_job(number, value["status"], value.get("statusMessage", ""))
            case "set_status_of":
                self.yard.set_job(value["id"], value["status"])
            case "set_all_status":
                self.yard.set_all(value)
            case "set_contract":
                self.yard.set_contract(**value)
            case "delete_job":
                self.yard.delete(value)
            case "submit":
                for _ in range(value["count"]):
                    assert self.yard.submit(value["as"]).status == 201
            case "restart":
                self.yard.restart()
            case _:
                raise AssertionError(f"nobody knows how to {name}")

    # --- the same over gRPC --------------------------------------------------------------------------------------

    def check_grpc(self, user: str | None, request: Mapping[str, Any], code: str) -> None:
        """The same request over gRPC fails with the same code, where it can be said there at all."""
        if request["method"] == "POST":
            message = said(said_by_body(request), job_service_pb2.SubmitJobRequest())
            call = self.yard.dataone.SubmitJob
        else:
            message = said(said_by_query(request), job_service_pb2.ListJobsRequest())
            call = self.yard.dataone.ListJobs
        if message is None:
            return
        with pytest.raises(grpc.RpcError) as caught:
            call(message, metadata=self.yard.metadata(user), timeout=PATIENCE)
        assert caught.value.code().name == code, caught.value.details()


def said(members: Mapping[str, str], message: Message) -> Message | None:
    """The message that says the same; none when it cannot be said in protobuf, such as 1.5 in an integer."""
    try:
        json_format.ParseDict(members, message)
    except json_format.ParseError:
        return None
    printed = json_format.MessageToDict(message)
    return message if all(str(printed[name]) == value for name, value in members.items() if value) else None


def said_by_body(request: Mapping[str, Any]) -> dict[str, str]:
    body = dict(request.get("body_json", {}))
    if "actionVariables" in body:
        body["actionVariables"] = json.dumps(body["actionVariables"])
    return body


def said_by_query(request: Mapping[str, Any]) -> dict[str, str]:
    found = dict(parse_qsl(request["query_raw"], keep_blank_values=True))
    return {name: f"JOB_STATUS_{value}" if name == "status" else value for name, value in found.items()}
