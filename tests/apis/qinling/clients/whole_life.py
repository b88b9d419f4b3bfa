"""The whole life of a function and a job over python-qinlingclient 5.1.1, in the environment of that library."""

import json
import sys
import time
from pathlib import Path

from keystoneauth1 import noauth, session
from qinlingclient import client
from qinlingclient.common import exceptions


def main(url, package, changed):
    qinling = client.Client("1", url, token="anything")
    # Without a session the library drops every answer that is no JSON, as logs are.
    by_session = client.Client("1", url, session=session.Session(auth=noauth.NoAuth(endpoint=url)))
    runtime = next(each for each in qinling.runtimes.list() if each.image == "python")
    with Path(package).open("rb") as file:
        function = qinling.functions.create(
            {"source": "package"}, runtime.id, file, name="greet", entry="main.main", timeout=10
        )
    assert (function.latest_version, function.code["source"]) == (0, "package")
    publish(qinling, function)
    job = qinling.jobs.create(
        name="often", function_alias="by-library", pattern="* * * * * */2", count=3, function_input='{"name": "Ann"}'
    )
    assert (job.status, job.count, job.function_id, job.project_id) == ("running", 3, None, "default")
    done = wait(lambda: (found := qinling.jobs.get(job.id)).status == "done" and found)
    assert (done.count, done.status) == (0, "done")
    executions = wait(lambda: three_ended(qinling, job.id))
    for one in executions:
        assert (one.status, one.function_version, one.sync) == ("success", 1, False), one.to_dict()
        assert json.loads(one.result)["output"] == "Hello, Ann"
        assert json.loads(one.input) == {"name": "Ann"}
        assert "Greeting Ann" in by_session.function_executions.get_log(one.id)
    with Path(changed).open("rb") as file:
        qinling.functions.update(function.id, package=file)
    assert qinling.function_versions.create(function.id).version_number == 2
    qinling.function_aliases.update("by-library", function_version=2)
    one = qinling.function_executions.create(function_alias="by-library", input='{"name": "Bob"}')
    assert (one.status, json.loads(one.result)["output"]) == ("success", "Goodbye, Bob"), one.to_dict()
    refused(exceptions.HTTPForbidden, "function alias(es)", lambda: qinling.functions.delete(function.id))
    qinling.jobs.delete(job.id)
    refused(exceptions.HTTPNotFound, f"Job not found [id={job.id}]", lambda: qinling.jobs.get(job.id))
    assert len(of_job(qinling, job.id)) == 3, "executions stay"
    qinling.function_aliases.delete("by-library")
    for one in qinling.function_executions.list():
        qinling.function_executions.delete(one.id)
    qinling.functions.delete(function.id)
    assert function.id not in [each.id for each in qinling.functions.list()]
    print("lived")


def publish(qinling, function):
    version = qinling.function_versions.create(function.id, description="first")
    assert version.version_number == 1
    alias = qinling.function_aliases.create("by-library", function_id=function.id, function_version=1)
    assert alias.function_version == 1


def of_job(qinling, id_):
    return qinling.function_executions.list(description=f"has:{id_}")


def three_ended(qinling, id_):
    found = of_job(qinling, id_)
    return found if len(found) == 3 and all(one.status != "running" for one in found) else None


def wait(look):
    deadline = time.monotonic() + 120
    while not (found := look()):
        assert time.monotonic() < deadline, "nothing came of it"
        time.sleep(0.2)
    return found


def refused(kind, words, call):
    told = ""
    try:
        call()
    except kind as problem:
        told = str(problem)
    assert words in told, told or "it was not refused"


if __name__ == "__main__":
    main(*sys.argv[1:])
