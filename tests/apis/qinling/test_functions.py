"""Functions, versions, aliases, runtimes and webhooks over HTTP, and what protects them while they are used."""

import hashlib
import json

import pytest

from apis.qinling.yard import CODE, PYTHON, packed

NOBODY = "99999999-1111-4111-8111-111111111111"
KEYS = [
    *("id", "name", "description", "cpu", "memory_size", "timeout", "runtime_id", "code", "entry", "count"),
    *("latest_version", "project_id", "created_at", "updated_at"),
]


def test_a_function_is_created_read_changed_and_removed(yard):
    function = yard.function(name="f", timeout="7", cpu="200")
    assert list(function) == KEYS
    md5 = hashlib.md5(packed(CODE)).hexdigest()
    assert function["code"] == {"source": "package", "md5sum": md5}
    assert (function["timeout"], function["cpu"], function["memory_size"]) == (7, 200, 33554432)
    assert (function["entry"], function["count"], function["latest_version"]) == ("main.main", 0, 0)
    path = f"/v1/functions/{function['id']}"
    assert yard.ok("GET", path) == function
    assert function in yard.ok("GET", "/v1/functions")["functions"]
    package = yard.ask("GET", f"{path}?download=true")
    assert (package.body, package.headers["content-type"]) == (packed(CODE), "application/zip")
    assert package.headers["content-disposition"] == f'attachment; filename="{function["id"]}"'
    other = packed("def main():\n    pass\n")
    changed = yard.form("PUT", path, {"name": "g", "entry": "main.other", "source": "package"}, other)
    assert changed.status == 200, changed.body
    assert (changed.status, changed.json["name"], changed.json["entry"]) == (200, "g", "main.other")
    assert yard.ask("GET", f"{path}?download=true").body == other
    assert yard.ask("DELETE", path).status == 204
    gone = yard.ask("GET", path)
    assert (gone.status, gone.json) == (404, {"faultstring": f"Function not found [id={function['id']}]"})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"code": ""}, "Required param is missing. Required: {'code'}"),
        ({"runtime_id": ""}, '"runtime_id" must be specified.'),
        ({"code": "{"}, "Invalid input, code is not a JSON object."),
        ({"code": '{"source": "tape"}'}, "Invalid code source specified, available sources: package, swift, image"),
        ({"code": '{"source": "image"}'}, "Functions of image type are not supported here; use a package."),
        ({"timeout": "301"}, "timeout resource limitation not within the allowable range: 1 ~ 300(seconds)."),
        ({"cpu": "99"}, "cpu resource limitation not within the allowable range: 100 ~ 300(millicpu)."),
        ({"memory_size": "much"}, "Invalid memory resource specified. An integer is required."),
        ({"entry": "main"}, "Invalid entry: main. It names a module and a function, as main.main does."),
        ({"code": '{"source": "package", "md5sum": "x"}'}, "Package md5 mismatch."),
    ],
)
def test_what_no_function_can_be_made_of(yard, fields, words):
    said = {"runtime_id": PYTHON, "code": '{"source": "package"}', **fields}
    refused = yard.form("POST", "/v1/functions", said, packed(CODE))
    assert (refused.status, refused.json) == (400, {"faultstring": words})


@pytest.mark.parametrize("package", [b"", b"no zip", packed(CODE, "../main.py")])
def test_what_is_no_package_is_refused(yard, package):
    refused = yard.form("POST", "/v1/functions", {"runtime_id": PYTHON, "code": '{"source": "package"}'}, package)
    assert refused.status == 400
    assert "package" in refused.fault


def test_a_package_that_is_too_large_is_refused(yard):
    fields = {"runtime_id": PYTHON, "code": '{"source": "package"}'}
    refused = yard.form("POST", "/v1/functions", fields, b"x" * (4 * 1024 * 1024 + 1))
    assert (refused.status, "has more than" in refused.fault) == (400, True)
    assert yard.form("POST", "/v1/functions", fields, b"x" * (6 * 1024 * 1024)).status == 413


def test_versions_are_numbered_and_need_a_change(yard):
    function = yard.function()["id"]
    path = f"/v1/functions/{function}/versions"
    first = yard.ok("POST", path, {"description": "one"})
    assert list(first) == [
        *("id", "function_id", "version_number", "description", "count", "project_id", "created_at", "updated_at"),
    ]
    assert (first["version_number"], first["function_id"]) == (1, function)
    again = yard.ask("POST", path, {})
    assert (again.status, again.fault) == (403, "Function package not changed since the latest version 1.")
    for number in range(2, 11):
        assert yard.form("PUT", path[:-9], {}, packed(f"x = {number}\n")).status == 200
        assert yard.ok("POST", path, {})["version_number"] == number
    yard.form("PUT", path[:-9], {}, packed("x = 11\n"))
    full = yard.ask("POST", path, {})
    assert (full.status, full.fault) == (403, "Can not exceed maximum number(10) of versions")
    assert yard.ask("DELETE", f"{path}/3").status == 204
    listed = [each["version_number"] for each in yard.ok("GET", path)["function_versions"]]
    assert listed == [1, 2, 4, 5, 6, 7, 8, 9, 10]
    assert yard.ok("POST", path, {})["version_number"] == 11
    assert yard.ask("GET", f"{path}/2?download=true").body == packed("x = 2\n")
    assert yard.ok("GET", f"{path}/11")["version_number"] == 11
    missing = yard.ask("GET", f"{path}/3")
    assert (missing.status, missing.json) == (
        404,
        {"faultstring": f"FunctionVersion not found [function_id={function}, version_number=3]"},
    )


def test_jobs_protect_what_they_use(yard):
    function = yard.function()["id"]
    path = f"/v1/functions/{function}"
    yard.ok("POST", f"{path}/versions", {})
    job = yard.job(function, function_version=1)["id"]
    running = "The function is still associated with running job(s)."
    for body in ({}, {"status": "paused"}):
        yard.ok("PUT", f"/v1/jobs/{job}", body)
        refused = yard.ask("DELETE", path)
        assert (refused.status, refused.fault) == (403, running)
    version = yard.ask("DELETE", f"{path}/versions/1")
    assert (version.status, version.fault) == (
        403,
        "The function version is still associated with running job(s).",
    )
    for fields, package in (({"entry": "main.other"}, b""), ({"cpu": "200"}, b""), ({}, packed("x = 1\n"))):
        refused = yard.form("PUT", path, fields, package)
        assert (refused.status, refused.json) == (403, {"faultstring": running})
    assert yard.form("PUT", path, {"name": "n", "description": "d", "timeout": "9"}).status == 200
    yard.ok("PUT", f"/v1/jobs/{job}", {"status": "cancelled"})
    assert yard.ask("DELETE", path).status == 204


def test_aliases_and_webhooks_protect_functions(yard):
    function = yard.function()["id"]
    path = f"/v1/functions/{function}"
    yard.ok("POST", "/v1/aliases", {"name": "guard", "function_id": function, "description": "d"})
    webhook = yard.ok("POST", "/v1/webhooks", {"function_id": function})["id"]
    assert yard.ask("DELETE", path).fault == "The function is still associated with webhook(s)."
    assert yard.ask("DELETE", f"/v1/webhooks/{webhook}").status == 204
    assert yard.ask("DELETE", path).fault == "The function is still associated with function alias(es)."
    assert yard.ask("DELETE", "/v1/aliases/guard").status == 204
    assert yard.ask("DELETE", path).status == 204


def test_an_alias_is_created_moved_and_removed(yard):
    function = yard.function()["id"]
    yard.ok("POST", f"/v1/functions/{function}/versions", {})
    alias = yard.ok("POST", "/v1/aliases", {"name": "moved", "function_id": function, "function_version": 1})
    assert list(alias) == [
        *("id", "name", "description", "function_id", "function_version", "project_id", "created_at", "updated_at"),
    ]
    assert yard.ok("GET", "/v1/aliases/moved") == alias
    assert alias in yard.ok("GET", "/v1/aliases")["function_aliases"]
    for body in (
        {"name": "moved", "function_id": function},
        {"name": "x", "function_id": function, "function_version": 1},
    ):
        assert yard.ask("POST", "/v1/aliases", body).status == 409
    assert yard.ok("PUT", "/v1/aliases/moved", {"function_version": 0})["function_version"] == 0
    for body, status in (
        ({"name": "x"}, 400),
        ({"function_id": function}, 400),
        ({"name": "x", "function_id": NOBODY}, 404),
        ({"name": "x", "function_id": function, "function_version": 5}, 404),
    ):
        assert yard.ask("POST", "/v1/aliases", body).status == status
    assert yard.ask("GET", "/v1/aliases/moved", user="bob").status == 404
    assert yard.ask("DELETE", "/v1/aliases/moved").status == 204
    gone = yard.ask("GET", "/v1/aliases/moved")
    assert (gone.status, gone.fault) == (404, "FunctionAlias not found [name=moved]")


def test_a_webhook_is_answered_without_a_token(yard):
    function = yard.function()["id"]
    webhook = yard.ok("POST", "/v1/webhooks", {"function_id": function, "description": "d"})
    assert webhook["webhook_url"] == f"{yard.server.url}/v1/webhooks/{webhook['id']}/invoke"
    assert webhook in yard.ok("GET", "/v1/webhooks")["webhooks"]
    answer = yard.ask("POST", f"/v1/webhooks/{webhook['id']}/invoke", {"name": "Ann"}, user=None)
    assert (answer.status, list(answer.json)) == (202, ["execution_id"])
    execution = yard.ok("GET", f"/v1/executions/{answer.json['execution_id']}")
    assert json.loads(execution["input"]) == {"name": "Ann"}
    assert (execution["description"], execution["sync"]) == (f"Created by Webhook {webhook['id']}", False)
    yard.ok("POST", "/v1/aliases", {"name": "hooked", "function_id": function})
    moved = yard.ok("PUT", f"/v1/webhooks/{webhook['id']}", {"function_alias": "hooked"})
    assert (moved["function_alias"], moved["function_id"], moved["function_version"]) == ("hooked", None, None)
    for user in (None, "notused"):
        assert yard.ask("POST", f"/v1/webhooks/{webhook['id']}/invoke", {}, user=user).status == 202
    unknown = yard.ask("POST", f"/v1/webhooks/{NOBODY}/invoke", {}, user=None)
    assert (unknown.status, unknown.json) == (404, {"faultstring": f"Webhook not found [id={NOBODY}]"})
    assert yard.ask("GET", f"/v1/webhooks/{webhook['id']}", user="bob").status == 404


def test_runtimes_are_changed_by_administrators(yard):
    assert yard.ask("POST", "/v1/runtimes", {"image": "node"}).status == 403
    runtime = yard.ok("POST", "/v1/runtimes", {"image": "node", "name": "n"}, user="root")
    assert list(runtime) == [
        *("id", "name", "image", "description", "is_public", "trusted", "status", "project_id"),
        *("created_at", "updated_at"),
    ]
    assert runtime["status"] == "available"
    assert runtime in yard.ok("GET", "/v1/runtimes")["runtimes"]
    path = f"/v1/runtimes/{runtime['id']}"
    function = yard.function(runtime_id=runtime["id"])["id"]
    used = yard.ask("DELETE", path, user="root")
    assert (used.status, used.fault) == (403, f"Runtime {runtime['id']} is still in use.")
    yard.ask("DELETE", f"/v1/functions/{function}")
    assert yard.ok("PUT", path, {"description": "d", "image": "deno"}, user="root")["image"] == "deno"
    assert yard.ask("DELETE", path, user="root").status == 204
    gone = yard.ask("GET", path)
    assert (gone.status, gone.fault) == (404, f"Runtime not found [id={runtime['id']}]")
    assert yard.ask("DELETE", f"/v1/runtimes/{PYTHON}", user="root").status == 403
    unknown = yard.form("POST", "/v1/functions", {"runtime_id": NOBODY, "code": '{"source": "package"}'}, packed(CODE))
    assert (unknown.status, unknown.json) == (404, {"faultstring": f"Runtime not found [id={NOBODY}]"})


def test_executions_wait_for_a_worker_and_are_found(yard):
    function = yard.function()["id"]
    execution = yard.ok(
        "POST", "/v1/executions", {"function_id": function, "input": "6", "sync": False, "description": "d"}
    )
    assert list(execution) == [
        *("id", "function_id", "function_version", "function_alias", "description", "status", "sync", "input"),
        *("result", "project_id", "created_at", "updated_at"),
    ]
    assert (execution["status"], execution["input"], execution["result"]) == ("running", "6", None)
    for query, found in {
        f"function_id={function}": True,
        f"function_id={function}&status=running": True,
        f"function_id={function}&status=nin:running,error": False,
        f"function_id={function}&description=has:d": True,
        f"function_id=neq:{function}": False,
    }.items():
        assert (execution in yard.ok("GET", f"/v1/executions?{query}")["executions"]) is found, query
    log = yard.ask("GET", f"/v1/executions/{execution['id']}/log", headers={"Accept": "application/json"})
    assert (log.status, log.body, log.headers["content-type"].split(";")[0]) == (200, b"", "text/plain")
    assert yard.ok("GET", f"/v1/functions/{function}")["count"] == 1
    assert yard.ask("GET", f"/v1/executions/{execution['id']}", user="bob").status == 404
    assert yard.ask("GET", f"/v1/jobs/{execution['id']}").status == 404
    assert yard.ask("DELETE", f"/v1/executions/{execution['id']}").status == 204
    gone = yard.ask("GET", f"/v1/executions/{execution['id']}/log")
    assert (gone.status, gone.json) == (404, {"faultstring": f"Execution not found [id={execution['id']}]"})


@pytest.mark.parametrize("path", ["functions", "aliases", "webhooks"])
def test_administrators_list_what_others_own(yard, path):
    red, blue = (owned(yard, path, user) for user in ("ann", "bob"))
    for query, seen in {
        "": set(),
        "?all_projects=true": {red, blue},
        "?project_id=red": {red},
        "?project_id=neq:red": {blue},
        "?project_id=in:red,blue": {red, blue},
        "?project_id=has:lu": {blue},
    }.items():
        (listed,) = yard.ok("GET", f"/v1/{path}{query}", user="root").values()
        assert {red, blue}.intersection(each["id"] for each in listed) == seen, query
    (own,) = yard.ok("GET", f"/v1/{path}?project_id=blue").values()
    assert {red, blue}.intersection(each["id"] for each in own) == {red}


def owned(yard, path, user):
    """A function, or what leads to one, of a caller; aliases have the same name in every project."""
    function = yard.function(user=user)["id"]
    if path == "functions":
        return function
    body = {"function_id": function, **({"name": "shared"} if path == "aliases" else {})}
    return yard.ok("POST", f"/v1/{path}", body, user=user)["id"]
