"""Jobs over HTTP: their form, their errors, and whose they are."""

import json
import uuid

import pytest

KEYS = [
    *("id", "name", "function_id", "function_alias", "function_version", "function_input", "status", "pattern"),
    *("count", "first_execution_time", "next_execution_time", "project_id", "created_at", "updated_at"),
]
NOBODY = "99999999-1111-4111-8111-111111111111"
FAR = "2099-01-01T00:00:00Z"


def test_a_job_has_all_its_members_in_their_order(yard, function):
    job = yard.job(function, name=None, count="5", id=NOBODY, status="paused", next_execution_time="x")
    assert list(job) == KEYS
    assert str(uuid.UUID(job["id"])) == job["id"] != NOBODY
    assert {key: job[key] for key in KEYS if job[key] is None}.keys() == {
        *("name", "function_alias", "function_input", "updated_at")
    }
    assert (job["status"], job["count"], job["function_version"], job["project_id"]) == ("running", 5, 0, "red")
    assert job["first_execution_time"] == job["next_execution_time"]
    assert job["next_execution_time"].endswith("T21:00:00Z")


def test_a_job_is_read_changed_and_removed(yard, function):
    path = f"/v1/jobs/{yard.job(function)['id']}"
    changed = yard.ask("PUT", path, {"name": "later", "next_execution_time": FAR})
    assert (changed.status, changed.json["name"], changed.json["next_execution_time"]) == (202, "later", FAR)
    assert changed.json["updated_at"] is not None
    for spelling in (path, f"{path}/", f"{path}.json"):
        assert yard.ok("GET", spelling) == changed.json
    assert yard.ok("PUT", path, {}) == changed.json
    removed = yard.ask("DELETE", path)
    assert (removed.status, removed.body, "content-type" in removed.headers) == (204, b"", False)
    for method in ("GET", "DELETE"):
        again = yard.ask(method, path)
        assert (again.status, again.json) == (
            404,
            {"faultcode": "Client", "faultstring": f"Job not found [id={path[-36:]}]", "debuginfo": None},
        )


def test_mistakes_of_users_are_no_failures_of_the_server(yard, function):
    job = yard.job(function, function_version=None)
    assert job["function_version"] == 0
    path = f"/v1/jobs/{job['id']}"
    assert yard.ok("PUT", path, {"next_execution_time": "", "pattern": None})["pattern"] == "0 21 * * *"
    never = yard.ask("POST", "/v1/jobs", {"function_id": function, "pattern": "0 0 30 2 *"})
    assert (never.status, never.fault) == (400, "The specified pattern is not valid: 0 0 30 2 *")
    assert yard.job(function, pattern="0 0 29 2 *")["next_execution_time"].endswith("-02-29T00:00:00Z")
    for value in ("9" * 400, "\x00", "2026-99-99", "12:00 EST", "0001-01-01T00:00:00+23:59"):
        refused = yard.ask("PUT", path, {"next_execution_time": value})
        assert refused.status == 400, value


def test_options_says_what_there_is(yard):
    answer = yard.ask("OPTIONS", "/v1/jobs", user=None)
    assert (answer.status, answer.headers["allow"]) == (200, "DELETE, GET, OPTIONS, POST, PUT")


def test_one_time_and_an_offset(yard, function):
    job = yard.job(function, pattern=None, first_execution_time="2099-01-01T09:00:00+09:00")
    assert (job["next_execution_time"], job["pattern"], job["count"]) == (FAR, None, 1)


def test_pause_resume_and_cancel(yard, function):
    path = f"/v1/jobs/{yard.job(function)['id']}"
    for status in ("paused", "paused", "running", "running", "cancelled"):
        assert yard.ok("PUT", path, {"status": status})["status"] == status
    for body in ({"name": "x"}, {}, {"status": "running"}):
        refused = yard.ask("PUT", path, body)
        assert (refused.status, refused.fault) == (400, "Can not update a finished job.")
    assert yard.ok("GET", path)["status"] == "cancelled"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"pattern": "* * * * *"}, "Either function_alias or function_id must be provided."),
        ({"function_alias": "", "pattern": "* * * * *"}, "Either function_alias or function_id must be provided."),
        ({"function_id": "", "pattern": "* * * * *"}, "Expected a uuid but received ."),
        ({"function_id": NOBODY, "id": "mine", "pattern": "* * * * *"}, "Expected a uuid but received mine."),
        ({"function_id": "nope", "pattern": "* * * * *"}, "Expected a uuid but received nope."),
        ({"function_id": NOBODY}, "pattern or first_execution_time must be specified."),
        ({"function_id": NOBODY, "count": 0, "pattern": "* * * * *"}, "count must be at least 1."),
        ({"function_id": NOBODY, "first_execution_time": "soon"}, "Unknown string format: soon"),
        ({"function_id": NOBODY, "bogus": 1}, "Unknown attribute for argument job: bogus"),
        ({"function_id": NOBODY, "functionInput": "x"}, "Unknown attribute for argument job: functionInput"),
    ],
)
def test_what_no_job_can_be_made_of(yard, body, words):
    refused = yard.ask("POST", "/v1/jobs", body)
    assert (refused.status, refused.json) == (400, {"faultcode": "Client", "faultstring": words, "debuginfo": None})


@pytest.mark.parametrize("value", ["x", 7, None, {"a": 1}])
@pytest.mark.parametrize("name", ["project_id", "created_at", "updated_at"])
def test_what_only_the_server_sets_is_refused(yard, function, name, value):
    path = f"/v1/jobs/{yard.job(function)['id']}"
    for method, target in (("POST", "/v1/jobs"), ("PUT", path)):
        refused = yard.ask(method, target, {"function_id": function, "pattern": "* * * * *", name: value})
        assert refused.status == 400
        assert refused.fault.startswith(f"Invalid input for field/attribute {name}. Value: ")
        assert refused.fault.endswith("Cannot set read only field.")


@pytest.mark.parametrize(
    "change",
    [
        {"name": 5},
        {"function_input": {"name": "Foo"}},
        {"first_execution_time": 4},
        {"count": "many"},
        {"function_version": -1},
        {"name": "n" * 256},
        {"pattern": ["* * * * *"]},
    ],
    ids=str,
)
def test_values_of_the_wrong_kind_are_refused(yard, function, change):
    refused = yard.ask("POST", "/v1/jobs", {"function_id": function, "pattern": "* * * * *", **change})
    assert refused.status == 400
    assert next(iter(change)) in refused.fault


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"function_id": NOBODY}, f"Function not found [id={NOBODY}]"),
        ({"function_alias": "prod"}, "FunctionAlias not found [name=prod]"),
        ({"function_alias": "prod", "function_id": NOBODY}, "FunctionAlias not found [name=prod]"),
        ({"function_version": 9}, "FunctionVersion not found [function_id={function}, version_number=9]"),
    ],
)
def test_what_is_not_there_is_a_404(yard, function, members, words):
    body = {"function_id": function, "pattern": "* * * * *", **members}
    refused = yard.ask("POST", "/v1/jobs", body)
    assert (refused.status, refused.fault) == (404, words.format(function=function))


def test_paths_that_name_nothing(yard, function):
    bad = yard.ask("GET", "/v1/jobs/nope")
    assert (bad.status, bad.fault) == (
        400,
        (
            "Invalid input for field/attribute id. Value: 'nope'. unable to convert to uuid. "
            "Error: Expected a uuid but received nope."
        ),
    )
    upper = yard.job(function)["id"].upper()
    assert yard.ask("GET", f"/v1/jobs/{upper}").status == 404
    for method in ("PUT", "DELETE"):
        missing = yard.ask(method, "/v1/jobs", {} if method == "PUT" else None)
        assert (missing.status, missing.fault) == (400, 'Missing argument: "id"')
    for method in ("PATCH", "HEAD"):
        answer = yard.ask(method, f"/v1/jobs/{upper}")
        assert answer.status == 405
    unknown = yard.ask("GET", "/v1/nothing")
    assert (unknown.status, unknown.json.keys()) == (404, {"code", "title", "description"})
    assert (unknown.json["code"], unknown.json["title"]) == (404, "Not Found")


def test_bodies_and_what_is_accepted(yard):
    assert yard.ask("POST", "/v1/jobs", b"").fault == 'Missing argument: "job"'
    for kind in ("text/plain", "Text/Plain ;charset=UTF-8"):
        text = yard.ask("POST", "/v1/jobs", b"x", headers={"Content-Type": kind})
        assert (text.status, text.fault) == (415, "Unknown mimetype: text/plain")
    wrapped = yard.ask("POST", "/v1/jobs", {"job": {"pattern": "* * * * *"}})
    assert (wrapped.status, wrapped.fault) == (400, "Unknown attribute for argument job: job")
    broken = yard.ask("POST", "/v1/jobs", b'{"a":', headers={"Content-Type": "application/json"})
    assert (broken.status, broken.fault) == (400, "Request is not in valid JSON format")
    for accept, status in (("application/json", 200), ("*/*", 200), ("text/html", 406), ("image/png", 406)):
        assert yard.ask("GET", "/v1/jobs", headers={"Accept": accept}).status == status
    # The real client says so although there is no body.
    assert yard.ask("GET", "/v1/jobs", headers={"Content-Type": "application/json"}).status == 200


@pytest.mark.parametrize(("token", "words"), [(None, "Authentication required"), ("wrong", "Auth token is invalid")])
def test_nobody_comes_in_without_a_token(yard, token, words):
    refused = yard.ask("GET", "/v1/jobs/nope?bogus=1", user=token)
    text = f"Failed to validate access token: {words}"
    assert (refused.status, refused.json) == (401, {"code": 401, "title": "Unauthorized", "description": text})
    assert refused.headers["server-error-message"] == text
    assert refused.headers["www-authenticate"].startswith("Keystone uri=")


@pytest.mark.parametrize("token", [None, "notused"])
def test_versions_are_told_to_everybody(yard, token):
    (version,) = yard.ok("GET", "/", user=token)["versions"]
    href = f"{yard.server.url}/v1"
    assert version == {
        "id": "v1.0",
        "status": "CURRENT",
        "links": [{"href": href, "target": "v1", "rel": "self"}],
    }
    assert yard.ok("GET", "/v1/", user=token) == {"uri": href}


def test_whoever_has_no_role_for_it_is_refused(yard):
    refused = yard.ask("GET", "/v1/jobs", user="eve")
    assert (refused.status, refused.fault) == (403, "Operation not allowed")


def test_other_projects_are_not_seen(yard, function):
    theirs = yard.job(function)["id"]
    for method, body in (("GET", None), ("PUT", {"name": "x"}), ("DELETE", None)):
        assert yard.ask(method, f"/v1/jobs/{theirs}", body, user="bob").status == 404
    assert yard.ask("POST", "/v1/jobs", {"function_id": function, "pattern": "* * * * *"}, user="bob").status == 404
    assert theirs not in ids(yard, "", "bob")
    assert ids(yard, "?project_id=red", "bob") == ids(yard, "", "bob")
    refused = yard.ask("GET", "/v1/jobs?all_projects=yes", user="bob")
    assert (refused.status, refused.fault) == (403, "Operation not allowed")


def test_administrators_see_all_projects(yard, function):
    red = yard.job(function)["id"]
    blue = yard.job(yard.function(user="bob")["id"], user="bob")["id"]
    assert {red, blue}.isdisjoint(ids(yard, "", "root"))
    for query, seen in {
        "all_projects=true": {red, blue},
        "all_projects=1&project_id=red": {red},
        "project_id=red": {red},
        "project_id=eq:blue": {blue},
        "project_id=neq:blue": {red},
        "project_id=in:red,blue": {red, blue},
        "project_id=nin:red,white": {blue},
        "project_id=has:e": {red, blue},
        "project_id=gt:blue": {red},
        "project_id=lte:blue": {blue},
    }.items():
        assert {red, blue}.intersection(ids(yard, f"?{query}", "root")) == seen, query
    assert yard.ok("PUT", f"/v1/jobs/{red}", {"name": "by root"}, user="root")["project_id"] == "red"
    assert yard.ask("DELETE", f"/v1/jobs/{red}", user="root").status == 204


def ids(yard, query, user):
    return [job["id"] for job in yard.ok("GET", f"/v1/jobs{query}", user=user)["jobs"]]


def test_the_oldest_job_is_listed_first(yard, function):
    made = [yard.job(function)["id"] for _ in range(3)]
    assert [each for each in ids(yard, "", "ann") if each in made] == made
    for name in ("limit", "status", "fields"):
        refused = yard.ask("GET", f"/v1/jobs?{name}=1")
        assert (refused.status, refused.fault) == (400, f'Unknown argument: "{name}"')


def test_what_the_official_client_sends_with_an_alias(yard, function):
    yard.ok("POST", "/v1/aliases", {"name": "official", "function_id": function})
    body = {
        "function_alias": "official", "function_id": None, "function_version": None, "name": "n",
        "first_execution_time": None, "pattern": "0 21 * * *", "function_input": json.dumps({"a": 1}), "count": 10,
    }  # fmt: skip
    job = yard.ok("POST", "/v1/jobs", body)
    assert (job["function_alias"], job["function_id"], job["function_version"]) == ("official", None, 0)
