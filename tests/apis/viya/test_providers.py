"""Providers that drive their jobs over REST, and providers as such."""

from __future__ import annotations

import time

import pytest

from apis.viya.yard import JOBS

PROVIDERS = "/jobExecution/providers"


def beat(yard, id_):
    return yard.ask("POST", f"{JOBS}/{id_}/heartbeatTimeStamp")


def test_a_provider_outside_runs_a_job(yard):
    job = yard.submit()
    assert job["state"] == "pending"
    assert yard.set_state(job["id"], "running").text == "running"
    answer = yard.ask("GET", f"{JOBS}/{job['id']}")
    tag = answer.headers["etag"]
    time.sleep(0.01)
    told = beat(yard, job["id"])
    assert told.status == 200
    after = yard.ask("GET", f"{JOBS}/{job['id']}")
    assert after.json["heartbeatTimeStamp"] == told.text > job["heartbeatTimeStamp"]
    # A provider's own heartbeat does not make its next update stale.
    assert after.headers["etag"] == tag
    body = {**after.json, "state": "completed", "stateDetails": "warning", "results": {"a": "1"}}
    answer = yard.ask("PUT", f"{JOBS}/{job['id']}", body=body, headers={"If-Match": tag})
    assert answer.status == 200, answer.body
    assert answer.json["stateDetails"] == "warning"
    assert answer.json["heartbeatTimeStamp"] == told.text
    for late in (yard.ask("PUT", f"{JOBS}/{job['id']}", body=body, headers={"If-Match": "*"}), beat(yard, job["id"])):
        assert late.status == 405, late.body


def test_the_last_heartbeat_of_a_job_stays_when_none_was_asked_for(yard):
    job = yard.submit({"type": "AnalyticsFlow"})
    path = f"{JOBS}/{job['id']}/heartbeatTimeStamp"
    assert yard.ask("GET", path).status == 204
    told = beat(yard, job["id"]).text
    yard.set_state(job["id"], "completed")
    assert yard.ask("GET", path).text == told


def test_a_hint_counts_with_a_state_and_goes_with_the_next(yard):
    id_ = yard.submit()["id"]

    def told(**body):
        return yard.ask("PUT", f"{JOBS}/{id_}", body=body, headers={"If-Match": "*"}).json.get("stateDetails")

    assert told(stateDetails="alone") is None
    assert told(state="running", stateDetails="warning") == "warning"
    assert told(results={"a": "1"}) == "warning"
    assert told(state="running") is None


def test_only_a_job_that_failed_shows_an_error(yard):
    for state, shown in (("failed", {"errorCode": 5113, "message": "boom", "version": 2}), ("timedOut", None)):
        body = {"state": state, "error": {"errorCode": 5113, "message": "boom"}}
        job = yard.ask("PUT", f"{JOBS}/{yard.submit()['id']}", body=body, headers={"If-Match": "*"}).json
        assert (job["state"], job.get("error")) == (state, shown)


def test_two_updates_never_share_an_entity_tag(yard):
    job = yard.submit()
    seen = set()
    for number in range(20):
        answer = yard.ask(
            "PUT", f"{JOBS}/{job['id']}", body={"results": {"n": number}}, headers={"If-Match": "*"}
        )  # fmt: skip
        assert answer.status == 200
        seen.add(answer.headers["etag"])
    assert len(seen) == 20


def test_a_job_goes_back_to_the_queue(yard):
    job = yard.submit()
    assert [yard.set_state(job["id"], word).text for word in ("running", "pending", "running", "completed")] == [
        *("running", "pending", "running", "completed"),
    ]


def test_a_job_that_is_not_heard_of_times_out_and_one_that_is_does_not(yard):
    silent, loud = (yard.submit({"type": "FastBeat"}) for _ in range(2))
    deadline = time.monotonic() + 2.5
    while time.monotonic() < deadline:
        assert beat(yard, loud["id"]).status == 200
        time.sleep(0.2)
    assert yard.job(silent["id"])["state"] == "timedOut"
    assert yard.ask("GET", f"{JOBS}/{silent['id']}/state").text == "timedOut"
    assert yard.job(loud["id"])["state"] != "timedOut"
    assert beat(yard, silent["id"]).status == 405
    ended = yard.until(loud["id"], lambda job: job["state"] == "timedOut")
    assert ended["endTimeStamp"] > ended["heartbeatTimeStamp"] > loud["heartbeatTimeStamp"]


def test_nobody_listens_to_some_jobs(yard):
    job = yard.submit({"type": "AnalyticsFlow"})
    assert job["heartbeatInterval"] == 0
    assert "heartbeatTimeStamp" not in job
    answer = yard.ask("GET", f"{JOBS}/{job['id']}/heartbeatTimeStamp")
    assert (answer.status, answer.text) == (204, "")
    assert yard.ask("HEAD", f"{JOBS}/{job['id']}/heartbeatTimeStamp").status == 204


def test_jobs_expire_as_their_provider_says(yard):
    job = yard.submit({"type": "Expiring"})
    assert job["jobRequest"]["expiresAfter"] == "PT1H"
    answer = yard.ask("PUT", f"{JOBS}/{job['id']}/expirationTimeStamp?value=2099-01-01T00:00:00.000Z")
    assert answer.status == 409
    assert "err=31503" in answer.text
    yard.set_state(job["id"], "completed")
    ended = yard.job(job["id"])
    assert ended["expirationTimeStamp"][:13] > ended["endTimeStamp"][:13]
    assert ended["expirationTimeStamp"][14:] == ended["endTimeStamp"][14:]
    answer = yard.ask("PUT", f"{JOBS}/{job['id']}/expirationTimeStamp?value=")
    assert (answer.status, answer.text) == (204, "")
    assert "expirationTimeStamp" not in yard.job(job["id"])
    found = yard.ask("GET", f"{JOBS}?filter=and(isNull(expirationTimeStamp),eq(id,'{job['id']}'))").json
    assert found["count"] == 1


@pytest.mark.parametrize(("value", "number"), [("soon", 31504), ("2026-01-01", 31504)])
def test_an_expiration_is_a_time(yard, value, number):
    job = yard.submit()
    yard.set_state(job["id"], "canceled")
    answer = yard.ask("PUT", f"{JOBS}/{job['id']}/expirationTimeStamp?value={value}")
    assert answer.status == 400
    assert f"err={number}" in answer.text


def test_providers_are_listed_in_short_or_whole(yard):
    short = yard.ask("GET", f"{PROVIDERS}?limit=2").json
    assert [one["id"] for one in short["items"]] == ["AnalyticsFlow", "Compute"]
    assert short["items"][0].keys() == {"id", "links", "version"}
    assert short["accept"].split() == [
        "application/vnd.sas.job.execution.provider.summary",
        "application/vnd.sas.job.execution.provider",
    ]
    whole = yard.ask(
        "GET",
        f"{PROVIDERS}?filter=eq(id,'Expiring')",
        headers={"Accept-Item": "application/vnd.sas.job.execution.provider+json"},
    ).json
    [provider] = whole["items"]
    assert (provider["heartbeatInterval"], provider["expiresAfter"]) == (600, "PT1H")
    assert {link["rel"] for link in provider["links"]} == {"self", "alternate", "up"}
    answer = yard.ask("GET", f"{PROVIDERS}/none")
    assert (answer.status, answer.json["message"]) == (404, 'The execution provider "none" could not be found.')
    bad = yard.ask("GET", f"{PROVIDERS}?start=-1")
    assert (bad.status, bad.json["errorCode"]) == (400, 0)
