"""The commands `openstack function|runtime|job|webhook ...`, unchanged, over the whole life of a function and a job."""

import json
import urllib.request

import pytest

from apis.qinling.clients.real import until

COUNT = 3


@pytest.mark.timeout(600)
def test_the_whole_life_of_a_function_and_a_job(clients):
    (runtime,) = clients.json("runtime", "list")
    package = str(clients.package("cli"))
    function = clients.json(
        "function", "create", "--name", "greet", "--runtime", runtime["Id"], "--entry", "main.main",
        "--package", package, "--timeout", "10",
    )["id"]  # fmt: skip
    assert clients.json("function", "show", function)["name"] == "greet"
    clients.json("function", "version", "create", function, "--description", "first")
    assert [each["Version_number"] for each in clients.json("function", "version", "list", function)] == [1]
    clients.json("function", "alias", "create", "by-commands", "--function", function, "--function-version", "1")
    job = clients.json(
        "job", "create", "--name", "often", "--function-alias", "by-commands", "--pattern", "* * * * * */2",
        "--count", str(COUNT), "--function-input", '{"name": "Ann"}',
    )["id"]  # fmt: skip
    assert [each["Id"] for each in clients.json("job", "list")] == [job]
    assert until(lambda: _done(clients, job))["count"] == 0
    executions = until(lambda: _ended(clients, job))
    for one in executions:
        assert one["Status"] == "success", one
        assert json.loads(one["Result"])["output"] == "Hello, Ann"
        assert "Greeting Ann" in clients.openstack("function", "execution", "log", "show", one["Id"])
    assert "finished job" in clients.openstack("job", "update", job, "--name", "late", code=1)
    clients.openstack("job", "delete", job)
    assert clients.json("job", "list") == []
    _by_name(clients, function)
    clients.openstack("function", "alias", "delete", "by-commands")
    clients.openstack("function", "version", "delete", function, "1")
    _clear(clients)
    clients.openstack("function", "delete", function)
    assert clients.json("function", "list") == []


def _done(clients, job):
    found = clients.json("job", "show", job)
    return found if found["status"] == "done" else None


def _ended(clients, job):
    found = clients.json("function", "execution", "list", "--filter", f"description=has:{job}")
    return found if len(found) == COUNT and all(one["Status"] != "running" for one in found) else None


def _by_name(clients, function):
    """A function found by its name, paused and taken up again; a webhook; protection while they are there."""
    job = clients.json("job", "create", "--function", "greet", "--pattern", "0 21 * * *")["id"]
    assert clients.json("job", "show", job)["function_id"] == function
    assert "running job(s)" in clients.openstack("function", "delete", function, code=1)
    assert clients.json("job", "update", job, "--status", "paused")["status"] == "paused"
    assert clients.json("job", "update", job, "--status", "running")["status"] == "running"
    assert clients.json("job", "update", job, "--status", "cancelled")["status"] == "cancelled"
    clients.openstack("job", "delete", job)
    webhook = clients.json("webhook", "create", "--function", function)
    assert "webhook(s)" in clients.openstack("function", "delete", function, code=1)
    request = urllib.request.Request(
        webhook["webhook_url"], b'{"name": "Eve"}', {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 202
        execution = json.load(answer)["execution_id"]
    until(lambda: clients.json("function", "execution", "show", execution)["status"] == "success")
    clients.openstack("webhook", "delete", webhook["id"])
    done = clients.json("function", "execution", "create", "--function", function, "--input", "plain words")
    assert json.loads(done["result"])["output"] == "Hello, plain words"


def _clear(clients):
    for one in clients.json("function", "execution", "list"):
        clients.openstack("function", "execution", "delete", "--execution", one["Id"])
