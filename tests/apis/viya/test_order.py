"""Which of several mistakes is told: what is missing first, then the body, then the precondition, then the state."""

from __future__ import annotations

import json

import pytest

from apis.viya.yard import DEFINITIONS, INLINE, JOBS, REQUESTS

NONE = [f"{JOBS}/none", f"{REQUESTS}/none", f"{DEFINITIONS}/none"]
MESSAGES = ["Job not found with ID: none.", "Job request not found with ID: none", "Job definition not found"]
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(("path", "message"), list(zip(NONE, MESSAGES, strict=True)))
@pytest.mark.parametrize(
    ("text", "headers"),
    [
        ("{", JSON),
        ("", JSON),
        ("[]", JSON),
        (json.dumps({"name": 5, "state": 5}), JSON),
        (json.dumps({"name": "x" * 300, "state": "bogus"}), JSON),
        ("x", {"Content-Type": "text/plain"}),
        ("x", {"Content-Type": "application/vnd.sas.transfer.object+json"}),
        ("x", {}),
        ("{}", {**JSON, "If-Match": '"x"'}),
    ],
)
def test_what_is_missing_is_told_first(yard, path, message, text, headers):
    answer = yard.ask("PUT", path, text=text, headers=headers)
    assert (answer.status, answer.json["errorCode"]) == (404, 0), answer.body
    assert answer.json["message"].startswith(message)


def test_then_the_body_then_the_precondition_then_the_state(yard):
    id_ = yard.submit()["id"]
    yard.set_state(id_, "completed")
    tag = yard.ask("GET", f"{JOBS}/{id_}").headers["etag"]
    for text, headers, status in (
        ("{", {"Content-Type": "text/plain"}, 415),
        ("{", JSON, 400),
        ('{"id": "other"}', JSON, 400),
        ('{"state": "running"}', JSON, 428),
        ('{"state": "running"}', {**JSON, "If-Match": '"x"'}, 412),
        ('{"state": "running"}', {**JSON, "If-Match": tag}, 405),
    ):
        assert yard.ask("PUT", f"{JOBS}/{id_}", text=text, headers=headers).status == status, (text, headers)


@pytest.mark.parametrize(
    ("wanted", "whole"),
    [
        ("application/vnd.sas.job.execution.provider+json", True),
        ("application/vnd.sas.job.execution.provider+json;version=1", True),
        ("text/html, application/vnd.sas.job.execution.provider", True),
        ("application/vnd.sas.job.execution.provider.summary+json", False),
        ("application/json", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_providers_are_listed_as_the_client_wants_the_items(yard, wanted, whole):
    answer = yard.ask("GET", "/jobExecution/providers?filter=eq(id,Compute)", headers={"Accept-Item": wanted})
    (item,) = answer.json["items"]
    assert (answer.status, "heartbeatInterval" in item) == (200, whole)


@pytest.mark.parametrize("suffix", ["+json", "", "+json;version=1"])
def test_a_provider_in_short(yard, suffix):
    kind = "application/vnd.sas.job.execution.provider.summary"
    answer = yard.ask("GET", "/jobExecution/providers/Compute", headers={"Accept": kind + suffix})
    assert (answer.status, answer.headers["content-type"]) == (200, f"{kind}+json")
    assert set(answer.json) == {"id", "version", "links"}
    (alternate,) = [link for link in answer.json["links"] if link["rel"] == "alternate"]
    assert alternate["type"] == kind


def test_requests_in_order_are_kept_apart_from_those_that_are_not(yard):
    made = yard.ask("POST", REQUESTS, body={"jobDefinition": INLINE})
    path, headers = f"{REQUESTS}/{made.json['id']}", {"If-Match": made.headers["etag"]}
    assert yard.ask("PUT", path, body={"jobDefinition": {}}, headers=headers).status == 400
    assert yard.ask("PUT", path, body={"jobDefinition": INLINE}, headers=headers).status == 200
