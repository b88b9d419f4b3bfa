"""What clients of the documented service take for granted: roots, media types, preconditions, errors, callers."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime

import pytest
import yaml

from apis.viya.yard import DEFINITIONS, INLINE, JOBS, REQUESTS, Yard
from jobyard_server.callers.token_file import digest

BULK = {"Content-Type": "application/vnd.sas.selection+json"}


@pytest.mark.parametrize("root", ["/jobExecution", "/jobDefinitions"])
@pytest.mark.parametrize("end", ["", "/"])
def test_roots(yard, root, end):
    headers = {
        "Accept": "application/json, application/vnd.sas.api+json",
        "Content-Type": "application/vnd.sas.api+json",
    }
    answer = yard.ask("GET", f"{root}{end}", text="{}", headers=headers)
    assert answer.status == 200
    assert "create" in {link["rel"] for link in answer.json["links"]}
    head = yard.ask("HEAD", f"{root}{end}")
    assert (head.status, head.body) == (200, b"")


def test_one_type_for_all_of_sas(yard):
    sent = {"Accept": "application/vnd.sas.api+json"}
    made = yard.ask("POST", JOBS, body={"jobDefinition": INLINE}, headers=sent)
    assert (made.status, made.json["version"]) == (201, 4), made.body
    assert yard.ask("GET", f"{JOBS}/{made.json['id']}", headers=sent).json["id"] == made.json["id"]


def test_who_is_calling(yard):
    assert yard.ask("GET", "/identities/users/@currentUser").json["id"] == "anonymous"


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/vnd.sas.job.execution.job+json", 200),
        ("application/vnd.sas.job.execution.job", 200),
        ("application/vnd.sas.job.execution.job+json;version=4", 200),
        ("text/html, */*;q=0.1", 200),
        ("application/json", 200),
        ("text/html", 406),
    ],
)
def test_what_is_accepted(yard, accept, status):
    id_ = yard.submit()["id"]
    answer = yard.ask("GET", f"{JOBS}/{id_}", headers={"Accept": accept})
    assert answer.status == status
    assert "json" in answer.headers["content-type"]
    assert answer.headers["content-type"].startswith("application/vnd.sas.error") is (status == 406)


def paths(yard):
    job = yard.submit()
    yield f"{JOBS}/{job['id']}", {"state": "running"}
    for path, body in ((REQUESTS, {"jobDefinition": INLINE}), (DEFINITIONS, {"name": "x", "type": "Compute"})):
        yield f"{path}/{yard.ask('POST', path, body=body).json['id']}", body


def test_preconditions(yard):
    for path, body in paths(yard):
        found = yard.ask("GET", path)
        date = parsedate_to_datetime(found.headers["last-modified"])
        early, same = (format_datetime(date + timedelta(seconds=each), usegmt=True) for each in (-1, 0))
        for headers, status, number in (
            ({}, 428, 1010),
            ({"If-Match": '"old"'}, 412, 1013),
            ({"If-Match": '"old"', "If-Unmodified-Since": same}, 412, 1013),
            ({"If-Unmodified-Since": early}, 412, 1013),
        ):
            answer = yard.ask("PUT", path, body=body, headers=headers)
            assert (answer.status, answer.json["errorCode"]) == (status, number), (path, headers)
            assert answer.json["remediation"]
        for headers in ({"If-Unmodified-Since": same}, {"If-Match": "*"}, {"If-Match": "fresh"}):
            tag = yard.ask("GET", path).headers["etag"]
            sent = {"If-Match": tag} if headers == {"If-Match": "fresh"} else headers
            answer = yard.ask("PUT", path, body=body, headers=sent)
            if "If-Unmodified-Since" in headers and answer.status == 412:
                continue  # the second was over when the request came
            assert answer.status == 200, (path, headers, answer.body)
            assert answer.headers["etag"] != tag
        other = yard.ask("PUT", path, body={**body, "id": "other"}, headers={"If-Match": "*"})
        assert (other.status, other.json["errorCode"]) == (400, 0)
        missing = yard.ask("PUT", path.rpartition("/")[0] + "/none", body=body)
        assert missing.status == 404


def test_what_an_update_leaves_out_is_gone(yard):
    body = {"name": "x", "description": "d", "type": "Compute", "parameters": [{"name": "A", "defaultValue": None}]}
    made = yard.ask("POST", DEFINITIONS, body=body)
    assert "defaultValue" not in made.json["parameters"][0]
    assert made.headers["location"] == f"{DEFINITIONS}/{made.json['id']}"
    changed = yard.ask(
        "PUT", made.headers["location"], body={"name": "x", "type": "casl"}, headers={"If-Match": made.headers["etag"]}
    )
    assert "description" not in changed.json
    assert (changed.json["type"], changed.json["parameters"]) == ("casl", [])
    assert changed.json["creationTimeStamp"] == made.json["creationTimeStamp"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"jobDefinition": {"type": "Nobody"}}, 'The execution provider "Nobody" could not be found.'),
        ({"jobDefinition": {"type": "compute"}}, "could not be found"),
        ({"jobDefinitionUri": "/jobDefinitions/definitions/none"}, "could not be found"),
        ({"jobDefinition": {"code": "x"}}, "type"),
        ({"jobDefinition": INLINE, "arguments": {"A": [1]}}, "arguments.A"),
        ({"jobDefinition": INLINE, "arguments": {"A": {}}}, "arguments.A"),
        ({"jobDefinition": INLINE, "properties": [{"name": "n" * 101, "value": ""}]}, "properties"),
        ({"jobDefinition": INLINE, "createdByApplication": "a b"}, "pattern"),
        ({"jobDefinition": {**INLINE, "parameters": [{"name": "A", "required": True}]}}, "arguments.A"),
        ([], "The request body was missing or invalid."),
        ({"jobDefinition": "x"}, "The request body was missing or invalid."),
    ],
)
def test_submits_that_are_refused(yard, body, words):
    answer = yard.ask("POST", JOBS, body=body)
    assert (answer.status, answer.json["errorCode"]) == (400, 0), answer.body
    assert words in json.dumps(answer.json, ensure_ascii=False).replace('\\"', '"')


@pytest.mark.parametrize("text", ["", "{", '{"a":'])
def test_bodies_that_cannot_be_read(yard, text):
    answer = yard.ask("POST", JOBS, text=text, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.json["message"]) == (400, "The request body was missing or invalid.")


def test_the_definition_of_a_job_is_a_snapshot(yard):
    made = yard.ask("POST", DEFINITIONS, body={"name": "snap", "type": "Compute", "code": "old"})
    uri = made.headers["location"]
    job = yard.ask("POST", JOBS, body={"jobDefinitionUri": uri}).json
    assert yard.ask("DELETE", uri).status == 204
    kept = yard.job(job["id"])["jobRequest"]
    assert (kept["name"], kept["jobDefinition"]["code"], kept["jobDefinitionUri"]) == ("snap", "old", uri)
    assert {"jobDefinition"} <= {link["rel"] for link in job["links"]}


def test_both_definitions_the_embedded_one_is_run(yard):
    job = yard.submit({"code": "mine"}, jobDefinitionUri="/jobDefinitions/definitions/whatever")
    assert job["jobRequest"]["jobDefinition"]["code"] == "mine"
    assert job["jobRequest"]["jobDefinitionUri"] == "/jobDefinitions/definitions/whatever"


@pytest.mark.parametrize(
    ("target", "text", "number"),
    [
        ("?value=cancelled", None, 31506),
        ("?value=timedout", None, 31506),
        ("?value=Running", None, 31506),
        ("", None, 31505),
        ("", "  \n", 31505),
        ("", "{}", 31506),
    ],
)
def test_words_that_are_no_states(yard, target, text, number):
    id_ = yard.submit()["id"]
    answer = yard.ask("PUT", f"{JOBS}/{id_}/state{target}", text=text, headers={"Content-Type": "text/plain"})
    assert answer.status == 400
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text.startswith(f"ErrorResponse[version=2,status=400,err={number},id=<null>,message=")
    assert answer.text.endswith(
        f"path: {JOBS}/{id_}/state],remediation=<null>,targetUri=<null>,errors=<null>,links=[]]"
    )


def test_the_state_in_the_query_outweighs_the_body(yard):
    id_ = yard.submit()["id"]
    answer = yard.ask("PUT", f"{JOBS}/{id_}/state?value=running", text="{}", headers={"Content-Type": "text/plain"})
    assert (answer.status, answer.text) == (200, "running")
    answer = yard.ask("PUT", f"{JOBS}/{id_}/state", text=" completed\n", headers={"Content-Type": "text/plain"})
    assert (answer.status, answer.text) == (200, "completed")
    missing = yard.ask("PUT", f"{JOBS}/none/state?value=nonsense")
    assert missing.status == 404
    assert "message=Job not found with ID: none.,detail" in missing.text


def test_states_of_a_selection_are_set_in_order(yard):
    ids = [yard.submit()["id"] for _ in range(3)]
    yard.set_state(ids[1], "completed")
    uris = [f"{JOBS}/{id_}" for id_ in (*ids, "none")]
    body = {"version": 1, "type": "uri", "resources": uris}
    answer = yard.ask("PUT", f"{JOBS}/@selection/state?value=canceled", body=body, headers=BULK)
    assert (answer.status, answer.json["name"], answer.json["links"]) == (200, "items", [])
    assert [item.get("id", item.get("errorCode")) for item in answer.json["items"]] == [ids[0], 31501, ids[2], 0]
    assert answer.json["items"][0]["type"] == "application/vnd.sas.job.execution.job"
    assert answer.json["items"][1]["httpStatusCode"] == 405
    assert answer.json["items"][1]["details"] == []
    assert [yard.job(id_)["state"] for id_ in ids] == ["canceled", "completed", "canceled"]
    for wrong in ({"version": 1, "resources": uris}, {"version": 1, "type": "id", "resources": ids}):
        answer = yard.ask("PUT", f"{JOBS}/@selection/state?value=canceled", body=wrong, headers=BULK)
        assert answer.status == 400
        assert answer.json["message"].startswith("Invalid selection type.")


def test_the_two_spellings_of_submitter_say_the_same(yard):
    kept = yard.ask("POST", REQUESTS, body={"jobDefinition": INLINE}).json["id"]
    same = yard.ask("POST", f"{REQUESTS}/{kept}/jobs?submitter=a&sumbitter=a")
    assert (same.status, same.json["submittedByApplication"]) == (201, "a")
    assert yard.ask("POST", f"{REQUESTS}/{kept}/jobs?submitter=a&sumbitter=b").status == 400


def test_only_a_job_that_failed_has_an_error(yard):
    id_ = yard.submit()["id"]
    path, head = f"/jobExecution/jobs/{id_}", {"If-Match": "*"}
    told = yard.ask("PUT", path, body={"error": {"errorCode": 7, "message": "soon"}}, headers=head)
    assert (told.status, "error" in told.json) == (200, False)
    filters = {
        "eq(error.errorCode,7)": True,
        "eq(error.message,soon)": True,
        "contains(error,soon)": True,
        "isNull(error)": False,
        "isNull(error.errorCode)": False,
        "ne(error.message,soon)": False,
    }
    for failed in (False, True):
        if failed:
            yard.set_state(id_, "failed")
        for filter_, holds in filters.items():
            found = yard.ask("GET", f"/jobExecution/jobs?filter=and(eq(id,{id_}),{filter_})").json["items"]
            assert bool(found) is (holds is failed), (filter_, failed)
    assert yard.job(id_)["error"]["message"] == "soon"


def test_what_has_no_body_is_acceptable_to_all(yard):
    id_ = yard.submit()["id"]
    assert yard.ask("DELETE", f"/jobExecution/jobs/{id_}", headers={"Accept": "text/plain"}).status == 204


def test_elapsed_time_grows_until_the_end(yard):
    id_ = yard.submit()["id"]
    first = yard.job(id_)["elapsedTime"]
    time.sleep(0.02)
    assert yard.job(id_)["elapsedTime"] > first
    yard.set_state(id_, "failed")
    ended = yard.job(id_)
    assert ended == yard.job(id_)
    assert ended["error"]["version"] == 2


def test_callers(tmp_path):
    tokens = {"ursula": ["SASUsers"], "prov": ["SASProviders"], "nobody": []}
    rows = [{"name": n, "sha256": digest(f"{n}-token"), "user": n, "roles": roles} for n, roles in tokens.items()]
    file = tmp_path / "tokens.yaml"
    file.write_text(yaml.safe_dump(rows))
    yard = Yard(tmp_path, JOBYARD_AUTH_TOKENS=str(file))
    yard.server.start()
    try:
        answer = yard.ask("GET", JOBS)
        assert answer.status == 401
        assert answer.json["errorCode"] == answer.json["httpStatusCode"] == 401
        assert answer.json["message"] == "Full authentication is required to access this resource"
        assert yard.ask("GET", JOBS, headers={"Authorization": "bearer ursula-token"}).status == 200
        assert yard.ask("GET", JOBS, headers={"Authorization": "Bearer nobody-token"}).status == 403
        update = {"body": {"state": "running"}, "headers": {"Authorization": "Bearer ursula-token"}}
        assert yard.ask("PUT", f"{JOBS}/none", **update).status == 403
        update["headers"]["Authorization"] = "Bearer prov-token"
        assert yard.ask("PUT", f"{JOBS}/none", **update).status == 404
    finally:
        yard.stop()


def test_members_that_are_wrong_stand_in_the_errors_inside(yard):
    answer = yard.ask("POST", DEFINITIONS, body={"name": "x" * 256})
    assert (answer.status, answer.json["message"]) == (400, "The request is not valid.")
    assert {error["errorCode"] for error in answer.json["errors"]} == {1020}


def test_no_members_stand_in_an_error_whose_message_says_all(yard):
    id_ = yard.submit()["id"]
    refused = [
        yard.ask("PUT", f"{JOBS}/{id_}", body={"results": {"a": "1"}}, headers={"If-Match": '"x"'}),
        yard.ask("PUT", f"{JOBS}/{id_}", body={"state": "bogus"}, headers={"If-Match": "*"}),
        yard.ask("POST", JOBS, text="bogus(name,'n')", headers={"Content-Type": "text/plain"}),
        yard.ask("GET", f"{JOBS}?start=-1"),
        yard.ask("POST", JOBS, body={"jobDefinition": {"type": "Nobody"}}),
    ]
    assert [answer.json["errorCode"] for answer in refused] == [1013, 31506, 1100, 1125, 0]
    assert not [answer.json for answer in refused if "errors" in answer.json]


def test_the_job_that_was_sent_is_not_the_one_of_the_path(yard):
    id_ = yard.submit()["id"]
    refused = yard.ask("PUT", f"{JOBS}/{id_}", body={"id": "x"}, headers={"If-Match": "*"})
    assert (refused.status, refused.json["message"]) == (400, f"Job with ID: x does not match passed in ID: {id_}.")


@pytest.mark.parametrize("member", [{"id": 7}, {"version": "x"}, {"createdBy": 5}, {"links": "none"}])
def test_what_the_server_says_of_a_request_is_not_read(yard, member):
    assert yard.ask("POST", JOBS, body={"jobDefinition": INLINE | member, **member}).status == 201
    collection = {"accept": "application/vnd.sas.job.definition+json", "start": "x", "name": 1, **member}
    named = {"items": [{"name": "x", "type": "Compute"}], **collection}
    sent = {"Content-Type": "application/vnd.sas.collection+json"}
    assert yard.ask("POST", DEFINITIONS, body=named, headers=sent).status == 201


@pytest.mark.parametrize("when", ["9999-12-31T23:59:59.999Z", "9899-01-01T00:00:00.000Z"])
def test_a_job_may_be_kept_as_good_as_for_ever(yard, when):
    id_ = yard.submit()["id"]
    yard.set_state(id_, "completed")
    kept = yard.ask("PUT", f"{JOBS}/{id_}/expirationTimeStamp?value={when}")
    assert kept.status == 200, kept.body


def test_a_job_is_removed_by_an_expiration_long_ago(yard):
    id_ = yard.submit()["id"]
    yard.set_state(id_, "completed")
    assert yard.ask("PUT", f"{JOBS}/{id_}/expirationTimeStamp?value=0001-01-01T00:00:00.000Z").status == 200
    assert yard.ask("GET", f"{JOBS}/{id_}").status == 404


@pytest.mark.parametrize("query", ["", "&sumbitter=b", "&wait=1"])
def test_the_other_spelling_of_submitter_is_for_kept_requests(yard, query):
    made = yard.ask("POST", f"{JOBS}?submitter=a{query}", body={"jobDefinition": INLINE})
    assert (made.status, made.json["submittedByApplication"]) == (201, "a")


def test_two_submitters(yard):
    kept = yard.ask("POST", REQUESTS, body={"jobDefinition": INLINE}).json["id"]
    refused = yard.ask("POST", f"{REQUESTS}/{kept}/jobs?submitter=a&sumbitter=b")
    assert (refused.status, refused.json["errorCode"]) == (400, 0)
    told = 'Both query parameters submitter ("a") and submitter ("b") should not be specified.'
    assert refused.json["message"] == told
    assert "errors" not in refused.json


def test_an_expiration_has_no_body(yard):
    id_ = yard.submit()["id"]
    yard.set_state(id_, "completed")
    path = f"{JOBS}/{id_}/expirationTimeStamp?value=2099-01-01T00:00:00.000Z"
    text = {"headers": {"Content-Type": "text/plain"}}
    refused = yard.ask("PUT", path, text="2099", **text)
    assert (refused.status, "err=0" in refused.text) == (400, True)
    assert yard.ask("PUT", path, text=" ", **text).text == "2099-01-01T00:00:00.000Z"
    assert yard.ask("PUT", path).status == 200


@pytest.mark.parametrize(
    "body",
    [
        {"version": 1, "type": "uri"},
        {"version": 1, "type": "uri", "resources": None},
        {"type": "uri", "resources": [f"{JOBS}/none"]},
    ],
    ids=["no resources", "null resources", "no version"],
)
def test_a_selection_says_its_version_and_selects_something(yard, body):
    refused = yard.ask("PUT", f"{JOBS}/@selection/state?value=canceled", body=body, headers=BULK)
    assert (refused.status, refused.json["errorCode"]) == (400, 0)


def test_text_that_cannot_be_read(yard):
    path = f"{JOBS}/{yard.submit()['id']}/state"
    for target in ("?value=running&value=pending", "?value=%FF"):
        refused = yard.ask("PUT", path + target)
        assert (refused.status, "status=400,err=0,id=<null>," in refused.text) == (400, True), target


def test_text_that_is_not_accepted(yard):
    refused = yard.ask("GET", f"{JOBS}/{yard.submit()['id']}/state", headers={"Accept": "text/html"})
    assert (refused.status, "status=406,err=0," in refused.text) == (406, True)
