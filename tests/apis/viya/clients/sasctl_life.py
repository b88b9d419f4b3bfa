"""Definitions and jobs over sasctl: its transport, paging, links, entity tags and errors.

The package has no services of job execution; these two are declared as it declares its own.
"""

import json
import re
import sys
import time
from urllib.error import HTTPError
from urllib.parse import urlsplit

from sasctl import Session
from sasctl._services.service import Service
from sasctl.core import delete, get, request_link

CODE = """
import json, os
arguments = json.load(open(os.environ["JOBYARD_PAYLOAD_FILE"]))["arguments"]
print("age", arguments["AGE"], "name", arguments["NAME"])
json.dump({"report.txt": "/files/" + arguments["NAME"]}, open(os.environ["JOBYARD_RESULT_FILE"], "w"))
"""
PARAMETERS = [
    {"name": "AGE", "type": "NUMERIC", "defaultValue": "10", "required": False, "label": "Lowest age"},
    {"name": "NAME", "type": "CHARACTER", "defaultValue": None, "required": False},
]


class JobDefinitions(Service):
    """Job Definitions."""

    _SERVICE_ROOT = "/jobDefinitions"
    list_definitions, get_definition, update_definition, delete_definition = Service._crud_funcs(
        "/definitions", "definition"
    )

    @classmethod
    def create_definition(cls, **members):
        return cls.post("/definitions", json=members, headers={"Accept": "application/vnd.sas.job.definition+json"})


class JobExecution(Service):
    """Job Execution."""

    _SERVICE_ROOT = "/jobExecution"
    list_jobs, get_job, update_job, delete_job = Service._crud_funcs("/jobs", "job")
    list_requests, get_request, update_request, delete_request = Service._crud_funcs("/jobRequests", "job request")

    @classmethod
    def submit(cls, **members):
        return cls.post("/jobs", json=members)

    @classmethod
    def state(cls, job):
        return cls.get(f"/jobs/{job.id}/state")

    @classmethod
    def wait(cls, job):
        while cls.state(job) in ("pending", "running"):
            time.sleep(0.1)
        return cls.get(f"/jobs/{job.id}")


def refused(call, *arguments):
    """The code with which a call is refused."""
    try:
        call(*arguments)
    except HTTPError as error:
        return error.code
    raise AssertionError("it was not refused")


def definitions():
    created = JobDefinitions.create_definition(
        name="by age", description="d", type="Compute", parameters=PARAMETERS, code=CODE
    )
    found = JobDefinitions.get_definition("by age")
    assert found.id == created.id
    stale = JobDefinitions.get_definition("by age")
    found["description"] = "new"
    updated = JobDefinitions.update_definition(found)
    assert updated.description == "new", updated
    code = refused(JobDefinitions.update_definition, stale)
    return found, code


def runs(definition):
    uri = f"/jobDefinitions/definitions/{definition.id}"
    job = JobExecution.submit(jobDefinitionUri=uri, arguments={"NAME": "Ada"}, name="one")
    ended = JobExecution.wait(job)
    log = request_link(ended, "log")
    return {"state": ended.state, "results": dict(ended.results), "log": request_link(log, "content")}


def pages():
    for number in range(25):
        JobExecution.submit(name=f"page {number}", jobDefinition={"type": "AnalyticsFlow", "code": ""})
    found = JobExecution.list_jobs(filter='startsWith(name,"page ")', limit=2)
    return len({job.id for job in found})


def kept_requests():
    definition = {"type": "Compute", "code": "print(1)"}
    kept = JobExecution.post("/jobRequests", json={"name": "kept", "jobDefinition": definition})
    job = JobExecution.post(f"/jobRequests/{kept.id}/jobs")
    ended = JobExecution.wait(job)
    assert ended.jobRequest["id"] == kept.id
    JobExecution.delete_request(kept.id)
    return ended.state


def cancels():
    job = JobExecution.submit(jobDefinition={"type": "Compute", "code": "import time\ntime.sleep(600)"})
    while JobExecution.state(job) != "running":
        time.sleep(0.1)
    JobExecution.put(f"/jobs/{job.id}/state?value=canceled")
    state = JobExecution.state(job)
    late = refused(lambda: JobExecution.put(f"/jobs/{job.id}/state?value=running"))
    JobExecution.delete_job(job.id)
    assert JobExecution.get_job(job.id) is None
    return [state, late]


def main(url, token):
    place = urlsplit(url)
    with Session(place.hostname, protocol="http", port=place.port, token=token):
        assert JobDefinitions.is_available()
        assert JobExecution.is_available()
        definition, stale = definitions()
        told = {"stale": stale, **runs(definition), "pages": pages(), "kept": kept_requests(), "canceled": cancels()}
        JobDefinitions.delete_definition(definition)
        assert JobDefinitions.get_definition("by age") is None
        assert re.match(r"/jobExecution/jobs", get("/jobExecution/")["links"][0]["href"])
        assert refused(delete, "/jobDefinitions/definitions/none") == 404
    print(json.dumps(told))


main(*sys.argv[1:])
