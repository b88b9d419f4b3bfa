"""Jobs followed to their end: what DMI services say, in whatever words, and what happens when they say nothing."""

from __future__ import annotations

import pytest

from apis.ncmp.dmis import Dmi
from apis.ncmp.yard import Yard, eventually, operation, target


def says(status):
    return lambda _: (200, b'{"status":"%b"}' % status.encode())


@pytest.fixture
def two(yard, dmi, other_dmi):
    """A job with a part at each of two services."""
    yard.register(dmi.url, target("ch-1", "p1", "a"))
    yard.register(other_dmi.url, target("ch-2", "p2", "b"))
    dmi.status = other_dmi.status = says("NOT_STARTED")
    yard.write("j", operation("p1"), operation("p2"))
    return dmi, other_dmi


def test_a_job_follows_its_parts(yard, two):
    one, other = two
    assert yard.until("j", "NOT_STARTED")
    one.status = says("RUNNING")
    assert yard.until("j", "RUNNING")
    one.status = says("FINSHED")
    found = eventually(lambda: (job := yard.job("j"))["subJobs"][0]["status"] == "FINSHED" and job)
    assert found["status"] == "RUNNING", "one has ended and the other waits"
    other.status = says("FINISHED")
    assert yard.until("j", "FINSHED")
    asked = len(one.heard("GET"))
    assert [one.target for one in other.heard("GET")][-1].endswith("/dataProducer/b/dataProducerJob/1/status")
    eventually(lambda: len(one.heard("GET")) == asked)


def test_a_part_that_is_being_cancelled_says_so_and_its_job_too(yard, two):
    one, other = two
    one.status, other.status = says("CANCELLING"), says("FINISHED")
    assert yard.until("j", "CANCELLING")["subJobs"][0]["status"] == "CANCELLING"
    one.status = says("CANCELLED")
    yard.until("j", "CANCELLED")


def test_a_long_status_is_passed_on_whole_or_refused(yard, two):
    one, _ = two
    long = b'{"status":"RUNNING","why":"%b"}' % (b"x" * 200_000)
    one.status = lambda _: (200, long)
    assert yard.part("j", "1", "status", dataProducerId="a").body == long
    yard.until("j", "RUNNING")
    one.status = lambda _: (200, b" " * (1024 * 1024 + 1))
    refused = yard.part("j", "1", "status", dataProducerId="a")
    assert (refused.status, "longer than" in refused.json["dmi-response"]["body"]) == (502, True)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("FINISHED", "FAILED"), "PARTIALLY_FAILED"),
        (("FAILED", "FAILED"), "FAILED"),
        (("FINISHED", "PARTIALLY_FAILED"), "PARTIALLY_FAILED"),
        (("CANCELLED", "CANCELLED"), "CANCELLED"),
        (("FINISHED", "CANCELLED"), "CANCELLED"),
        (("FAILED", "CANCELLED"), "PARTIALLY_FAILED"),
    ],
)
def test_what_parts_make_of_their_job(yard, two, words, status):
    for dmi, word in zip(two, words, strict=True):
        dmi.status = says(word)
    found = yard.until("j", status)
    assert [one["status"] for one in found["subJobs"]] == [{"FINISHED": "FINSHED"}.get(word, word) for word in words]


def test_a_service_that_does_not_answer_leaves_an_old_status(yard, two):
    one, other = two
    one.status = other.status = says("RUNNING")
    eventually(lambda: [part["status"] for part in yard.job("j")["subJobs"]] == ["RUNNING"] * 2)
    other.status = lambda _: (500, b"broken")
    found = eventually(lambda: (job := yard.job("j"))["subJobs"][1].get("stale") and job)
    assert found["subJobs"][1]["status"] == "RUNNING"
    assert "broken" in found["subJobs"][1]["problem"]
    other.status = says("what is this?")
    eventually(lambda: "no status" in yard.job("j")["subJobs"][1].get("problem", ""))
    one.status = other.status = says("FINISHED")
    assert "stale" not in yard.until("j", "FINSHED")["subJobs"][1]


def test_a_job_that_is_cancelled_is_not_followed_any_longer(yard, two):
    one, other = two
    one.status = says("RUNNING")
    yard.until("j", "RUNNING")
    answer = yard.ask("DELETE", f"/ranoam/cm/v1/dataJob/{yard.name('j')}")
    assert (answer.status, answer.json["status"]) == (202, "CANCELLED")
    one.status = other.status = says("FINISHED")
    eventually(lambda: one.heard("DELETE"))
    assert one.heard("DELETE")[0].path == "/dmi/v1/cmwriteJob/dataProducer/a/dataProducerJob/1"
    assert yard.job("j")["status"] == "CANCELLED"
    assert yard.ask("POST", f"/ranoam/cm/v1/dataJob/{yard.name('j')}:cancel").json["status"] == "CANCELLED"


def test_statuses_and_results_are_passed_on_byte_for_byte(yard, two):
    one, _ = two
    one.status = lambda _: (200, b' {"status":"status details from mock service"}\n')
    one.result = lambda _: (200, b'{ "result" : 1.10 }')
    path = f"/do-not-use/dataJobs/{yard.name('j')}/dataProducerJob/1"
    answer = yard.ask("GET", f"{path}/status", query={"dataProducerId": "a"})
    assert (answer.status, answer.body) == (200, b' {"status":"status details from mock service"}\n')
    assert yard.ask("GET", f"{path}/result", query={"dataProducerId": "a"}).body == b'{ "result" : 1.10 }'
    assert one.heard("GET", "/result")[0].query == {"destination": ["d1"]}
    one.result = lambda _: (404, b"none")
    refused = yard.ask("GET", f"{path}/result", query={"dataProducerId": "a", "destination": "other"})
    assert (refused.status, refused.json["dmi-response"]) == (502, {"http-code": 404, "body": "none"})
    assert one.heard("GET", "/result")[1].query == {"destination": ["other"]}
    assert yard.ask("GET", f"{path}7/status").status == 404


def test_a_server_that_was_killed_goes_on_where_it_was(tmp_path):
    found = Yard(tmp_path)
    found.server.start()
    with Dmi() as dmi:
        found.register(dmi.url, target("ch-1", "p1"))
        found.write("j", operation("p1"))
        found.server.kill()
        dmi.status = says("FINISHED")
        with found.server:
            assert found.until("j", "FINSHED", 30.0)
        assert len(dmi.heard("POST")) == 1


def of_jobs(yard, verb):
    """Control a job of this test through the API of all jobs."""
    (found,) = yard.ask("GET", "/jobyard/v1/jobs", query={"filter": f"external_id = {yard.name('j')}"}).json["jobs"]
    answer = yard.ask("POST", f"/jobyard/v1/jobs/{found['uid']}:{verb}", {})
    assert answer.status == 200, answer


def test_what_failed_is_handed_over_again_when_somebody_retries_it(yard, dmi, other_dmi):
    yard.register(dmi.url, target("ch-1", "p1", "a"))
    yard.register(other_dmi.url, target("ch-2", "p2", "b"))
    other_dmi.created = lambda _: (500, b"broken")
    yard.write("j", operation("p1"), operation("p2"))
    dmi.status = other_dmi.status = says("FINISHED")
    yard.until("j", "PARTIALLY_FAILED")
    other_dmi.created = other_dmi.number
    of_jobs(yard, "retry")
    yard.until("j", "FINSHED")
    assert (len(dmi.heard("POST")), len(other_dmi.heard("POST"))) == (1, 2)
    assert other_dmi.heard("POST")[0].body == other_dmi.heard("POST")[1].body


def test_a_job_that_is_suspended_waits_and_goes_on(yard, two):
    of_jobs(yard, "suspend")
    for dmi in two:
        dmi.status = says("FINISHED")
    assert yard.job("j")["status"] == "NOT_STARTED"
    of_jobs(yard, "resume")
    yard.until("j", "FINSHED")
