"""What the frameworks under Qinling, WSME and Pecan, do to requests, for clients may count on it."""

import pytest

from apis.qinling.yard import CODE, PYTHON, packed

NOBODY = "99999999-1111-4111-8111-111111111111"
PATTERN = "0 21 * * *"


@pytest.mark.parametrize("kind", ["application/xml", "text/xml"])
def test_answers_can_be_had_as_xml(yard, function, kind):
    job = yard.job(function, name="<a & b>")
    path = f"/v1/jobs/{job['id']}"
    answer = yard.ask("GET", path, headers={"Accept": kind})
    assert (answer.status, answer.headers["content-type"]) == (200, f"{kind}; charset=UTF-8")
    assert answer.body.decode() == (
        f"<result><id>{job['id']}</id><name>&lt;a &amp; b&gt;</name><function_id>{function}</function_id>"
        f'<function_alias nil="true" /><function_version>0</function_version><function_input nil="true" />'
        f'<status>running</status><pattern>{PATTERN}</pattern><count nil="true" />'
        f"<first_execution_time>{job['first_execution_time']}</first_execution_time>"
        f"<next_execution_time>{job['next_execution_time']}</next_execution_time><project_id>red</project_id>"
        f'<created_at>{job["created_at"]}</created_at><updated_at nil="true" /></result>'
    )
    listed = yard.ask("GET", "/v1/jobs", headers={"Accept": kind}).body
    assert listed.startswith(b"<result><jobs><item><id>")
    made = yard.ask("POST", "/v1/jobs", {"function_id": function, "pattern": PATTERN}, headers={"Accept": kind})
    assert (made.status, made.body[:12]) == (201, b"<result><id>")
    missing = yard.ask("GET", f"/v1/jobs/{NOBODY}", headers={"Accept": kind})
    words = f"<faultcode>Client</faultcode><faultstring>Job not found [id={NOBODY}]</faultstring><debuginfo />"
    assert (missing.status, missing.body.decode()) == (404, f"<error>{words}</error>")
    gone = yard.ask("DELETE", path, headers={"Accept": kind})
    assert (gone.status, gone.body) == (204, b"")


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json, application/xml", "application/json"),
        ("application/xml;q=0.9, */*;q=0.8", "application/xml"),
        ("text/html, */*", "application/json"),
        ("application/*", "application/json"),
        ("", "application/json"),
    ],
)
def test_the_kind_that_is_liked_best_is_answered(yard, accept, kind):
    answer = yard.ask("GET", "/v1/jobs", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith(kind)


@pytest.mark.parametrize("body", [None, {}, {"function_id": NOBODY}])
def test_a_job_cannot_be_posted_to_where_it_is_read(yard, body):
    refused = yard.ask("POST", f"/v1/jobs/{NOBODY}", body)
    words = f"Invalid input for field/attribute job. Value: '{NOBODY}'. unable to convert to Job."
    assert (refused.status, refused.fault) == (400, words)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("body", [None, {}, {"name": "x"}])
def test_changes_without_an_identifier(yard, method, body):
    refused = yard.ask(method, "/v1/jobs", body)
    assert (refused.status, refused.fault) == (400, 'Missing argument: "id"')


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "None"), (True, "True"), (5.5, "5.5"), ("x", "x"), ({"a": [None]}, "{'a': [None]}"), (["a"], "['a']")],
)
def test_refused_values_are_told_as_python_prints_them(yard, function, value, shown):
    refused = yard.ask("POST", "/v1/jobs", {"function_id": function, "pattern": PATTERN, "project_id": value})
    words = f"Invalid input for field/attribute project_id. Value: '{shown}'. Cannot set read only field."
    assert (refused.status, refused.fault) == (400, words)


@pytest.mark.parametrize("name", ["name", "function_input", "pattern", "status", "next_execution_time"])
@pytest.mark.parametrize("value", [5, True, {"a": 1}, ["a"]], ids=str)
def test_texts_are_texts(yard, function, name, value):
    path = f"/v1/jobs/{yard.job(function)['id']}"
    for method, target in (("POST", "/v1/jobs"), ("PUT", path)):
        refused = yard.ask(method, target, {"function_id": function, "pattern": PATTERN, name: value})
        assert refused.status == 400
        assert refused.fault.startswith(f"Invalid input for field/attribute {name}. Value: '{value}'. Wrong type.")


@pytest.mark.parametrize(("value", "status"), [("5", 1), (5.5, 1), (True, 1), ("x", 0), ("", 0), ("5.5", 0), ([], 0)])
def test_numbers_are_taken_from_almost_anything(yard, function, value, status):
    answer = yard.ask("POST", "/v1/jobs", {"function_id": function, "pattern": PATTERN, "count": value})
    if status:
        assert answer.json["count"] == int(value)
    else:
        assert answer.status == 400
        assert answer.fault.startswith("Invalid input for field/attribute job. Value: '{'count': ")
        assert f"invalid literal for int() with base 10: '{value}'" in answer.fault


def test_what_cannot_change_is_looked_at_all_the_same(yard, function):
    path = f"/v1/jobs/{yard.job(function)['id']}"
    body = {"function_id": NOBODY, "function_version": "4", "count": 3, "function_alias": "x", "id": NOBODY}
    changed = yard.ok("PUT", path, body)
    assert (changed["function_id"], changed["function_version"], changed["count"]) == (function, 0, None)
    refused = yard.ask("PUT", path, {"function_id": "nope"})
    assert (refused.status, refused.fault) == (400, "Expected a uuid but received nope.")
    assert yard.ask("PUT", path, {"count": "many"}).status == 400


def test_an_update_of_nothing_changes_nothing(yard, function):
    job = yard.job(function, function_input="{}", name="n")
    path = f"/v1/jobs/{job['id']}"
    for body in ({}, {"name": None, "status": None}, {"status": "running"}, {"name": "n", "function_input": "{}"}):
        assert yard.ok("PUT", path, body) == job
    assert yard.ok("PUT", path, {"name": "m"})["updated_at"] is not None


def test_a_version_beside_an_alias_is_kept_as_it_was_said(yard):
    function = yard.function()["id"]
    yard.ok("POST", "/v1/aliases", {"name": "beside", "function_id": function})
    job = yard.job(function, function_alias="beside", function_version=3)
    assert (job["function_id"], job["function_alias"], job["function_version"]) == (function, "beside", 3)


@pytest.mark.parametrize(
    ("path", "argument"),
    [
        ("/v1/aliases/nope", "body"),
        (f"/v1/webhooks/{NOBODY}", "webhook"),
        (f"/v1/runtimes/{NOBODY}", "runtime"),
        (f"/v1/jobs/{NOBODY}", "job"),
    ],
)
def test_changes_need_a_body(yard, path, argument):
    refused = yard.ask("PUT", path, user="root")
    assert (refused.status, refused.fault) == (400, f'Missing argument: "{argument}"')


def test_a_version_needs_a_body(yard, function):
    refused = yard.ask("POST", f"/v1/functions/{function}/versions")
    assert (refused.status, refused.fault) == (400, 'Missing argument: "body"')


@pytest.mark.parametrize("pattern", ["0 0 15W * *", "0 0 LW * *", "0 0 * * 5L", "@hourly", "* * * * * * *", "0 0 * * "])
def test_patterns_of_other_dialects(yard, function, pattern):
    refused = yard.ask("POST", "/v1/jobs", {"function_id": function, "pattern": pattern})
    assert (refused.status, refused.fault) == (400, f"The specified pattern is not valid: {pattern}")


def test_an_empty_parameter_says_nothing(yard, function):
    job = yard.job(function)["id"]
    assert job in {each["id"] for each in yard.ok("GET", "/v1/jobs?all_projects=")["jobs"]}


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        ("/v1/aliases", {"name": "ro"}, "project_id"),
        ("/v1/webhooks", {}, "webhook_url"),
        ("/v1/executions", {}, "status"),
        ("/v1/executions", {}, "result"),
        ("/v1/runtimes", {"image": "ro"}, "status"),
        ("/v1/functions/{function}/versions", {}, "version_number"),
    ],
)
def test_no_resource_lets_itself_be_told_what_only_the_server_sets(yard, function, path, body, name):
    if path.endswith(("aliases", "webhooks", "executions")):
        body = {**body, "function_id": function}
    refused = yard.ask("POST", path.format(function=function), {**body, name: None}, user="root")
    words = f"Invalid input for field/attribute {name}. Value: 'None'. Cannot set read only field."
    assert (refused.status, refused.fault) == (400, words)


@pytest.mark.parametrize("path", ["/v1/aliases", "/v1/webhooks", "/v1/executions", "/v1/jobs"])
@pytest.mark.parametrize("name", ["id", "function_id"])
def test_identifiers_are_uuids(yard, path, name):
    for value in ("", "nope"):
        refused = yard.ask("POST", path, {name: value})
        assert (refused.status, refused.fault) == (400, f"Expected a uuid but received {value}.")


def test_a_webhook_has_the_version_that_was_said(yard, function):
    assert yard.ok("POST", "/v1/webhooks", {"function_id": function})["function_version"] is None
    assert yard.ok("POST", "/v1/webhooks", {"function_id": function, "function_version": 0})["function_version"] == 0


def test_the_log_of_an_execution_that_nobody_can_know(yard):
    for id_ in ("nope", NOBODY):
        refused = yard.ask("GET", f"/v1/executions/{id_}/log", headers={"Accept": "application/json"})
        assert (refused.status, refused.json) == (404, {"faultstring": f"Execution not found [id={id_}]"})


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("{}", "Invalid code source specified"),
        ('{"source": "tape"}', "Invalid code source specified"),
        ('{"source": "image", "image": "i"}', "not supported here"),
    ],
)
def test_functions_are_packages(yard, code, words):
    refused = yard.form("POST", "/v1/functions", {"runtime_id": PYTHON, "code": code}, packed(CODE))
    assert (refused.status, list(refused.json)) == (400, ["faultstring"])
    assert words in refused.fault
    function = yard.function()["id"]
    changed = yard.form("PUT", f"/v1/functions/{function}", {"code": '{"source": "swift"}'})
    assert (changed.status, changed.fault) == (400, "The function code type can not be changed.")
    assert yard.form("PUT", f"/v1/functions/{NOBODY}", {"code": '{"source": "swift"}'}).status == 404


def test_updates_of_nothing_leave_everything_as_it_is(yard):
    function = yard.function()
    alias = yard.ok("POST", "/v1/aliases", {"name": "still", "function_id": function["id"]})
    webhook = yard.ok("POST", "/v1/webhooks", {"function_id": function["id"]})
    assert yard.ok("PUT", "/v1/aliases/still", {"function_version": 0}) == alias
    assert yard.ok("PUT", f"/v1/webhooks/{webhook['id']}", {"description": None}) == webhook
    assert yard.form("PUT", f"/v1/functions/{function['id']}", {"timeout": "5"}).json == function
    assert yard.ok("PUT", "/v1/aliases/still", {"description": "d"})["updated_at"] is not None
