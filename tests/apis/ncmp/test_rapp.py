"""Data jobs as rApps ask for them."""

from __future__ import annotations

import pytest

from apis.ncmp.yard import eventually, operation, target

JOBS = "/ranoam/cm/v1/dataJob"


def test_a_job_is_named_by_the_server_and_found_where_it_says(yard, dmi):
    yard.register(dmi.url, target("ch-1", "/a", "p"))
    body = {"datacontenttype": "c", "dataaccepttype": "a", "data": [operation("/a/b")]}
    answer = yard.ask("POST", JOBS, body, query={"destination": "results"})
    made = answer.json
    assert answer.status == 202
    assert answer.headers["location"].endswith(f"{JOBS}/{made['jobId']}")
    assert made["statusuri"] == f"{yard.server.url}{JOBS}/{made['jobId']}"
    assert made["resultsuri"] == f"{yard.server.url}/s3-bucket/results"
    assert made["status"] == "NOT_STARTED"
    yard.mark = ""
    dmi.status = lambda _: (200, b'{"status":"FINISHED"}')
    found = yard.until(made["jobId"], "FINSHED")
    assert found["subJobs"] == [
        {"subJobId": "1", "dmiServiceName": dmi.url, "dataProducerId": "p", "status": "FINSHED"}
    ]
    (heard,) = dmi.heard("POST")
    assert (heard.json["dataAcceptType"], heard.json["dataContentType"], heard.json["dataJobId"]) == (
        "a",
        "c",
        made["jobId"],
    )


def test_without_a_destination_results_are_found_under_the_job(yard, dmi):
    yard.register(dmi.url, target("ch-1", "/a", "p"))
    made = yard.ask("POST", JOBS, {"data": [operation("/a")]}).json
    assert made["resultsuri"].endswith(f"/s3-bucket/{made['jobId']}")
    (heard,) = eventually(lambda: dmi.heard("POST"))
    assert heard.query == {"destination": [made["jobId"]]}
    assert heard.json["destination"] == made["jobId"]


def test_reading_goes_to_those_who_read(yard, dmi, other_dmi):
    yard.register(dmi.url, target("ch-1", "/a", "p"), dmiDatajobsReadPlugin=other_dmi.url)
    read = {"path": "/a/b", "op": "read", "operationId": 1, "attributes": "userLabel", "scope": {"scopeTyp": "x"}}
    answer = yard.ask("POST", JOBS, {"data": [read]}, query={"destination": "topic"})
    assert answer.status == 202
    yard.mark = ""
    yard.until(answer.json["jobId"], "RUNNING")
    (heard,) = other_dmi.heard("POST")
    assert heard.target == "/dmi/v1/cmreadJob?destination=topic"
    assert heard.json["data"] == [{**read, "moduleSetTag": None}]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "data"),
        ({"data": 5}, "data"),
        ({"data": [{"path": "/a", "op": "read"}, {"path": "/a", "op": "add"}]}, "data[1].op"),
        ({"data": [{"path": "/a"}]}, "data[0].op"),
    ],
)
def test_what_makes_no_sense_is_refused(yard, body, field):
    answer = yard.ask("POST", JOBS, body)
    assert (answer.status, field in answer.json["message"]) == (400, True), answer


def test_what_is_wrong_is_named_as_the_request_spells_it(yard):
    assert yard.ask("GET", JOBS, query={"pageSize": "-1"}).json["message"].startswith("pageSize: must be")
    assert yard.ask("GET", JOBS, query={"pageToken": "x"}).json["message"].startswith("pageToken: is not a token")
    long = yard.ask("POST", f"/do-not-use/dataJobs/{'x' * 256}/write", {})
    assert (long.status, long.json["message"]) == (400, "dataJobId: must be at most 255 characters")


@pytest.mark.parametrize("body", [None, {}, {"reason": "no longer wanted"}], ids=["none", "empty", "more"])
def test_a_job_is_cancelled_with_a_body_and_without(yard, body):
    name = yard.ask("POST", JOBS, {"data": []}).json["jobId"]
    answer = yard.ask("POST", f"{JOBS}/{name}:cancel", body)
    assert (answer.status, answer.json["jobId"]) == (202, name)


def test_jobs_are_listed_page_by_page_the_newest_first(yard):
    made = [yard.ask("POST", JOBS, {"data": []}).json["jobId"] for _ in range(3)]
    first = yard.ask("GET", JOBS, query={"pageSize": "2"}).json
    assert [one["jobId"] for one in first["dataJobs"]] == made[:0:-1]
    rest = yard.ask("GET", JOBS, query={"pageSize": "2", "pageToken": first["nextPageToken"]}).json
    assert rest["dataJobs"][0]["jobId"] == made[0]
    assert yard.ask("GET", f"{JOBS}/nobody").status == 404
    assert yard.ask("DELETE", f"{JOBS}/nobody").status == 404
