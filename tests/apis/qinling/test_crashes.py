"""Two servers on one store, killed at random: each due time makes one execution."""

import json
import random
import time

import grpc
import pytest

from apis.qinling.yard import CODE, PYTHON, form_of, packed, send
from jobyard.jobs.v1 import job_access_pb2, job_service_pb2_grpc
from support.running import Server

SECONDS = 12.0
PATIENCE = 90.0
QUICK = {"JOBYARD_SCHEDULE_CHECK_SECONDS": "0.1"}


@pytest.mark.timeout(300)
def test_each_due_time_is_met_once_whoever_dies(tmp_path):
    first = Server(tmp_path, name="server0", **QUICK)
    servers = [first, Server(tmp_path, name="server1", database=first.database, **QUICK)]
    with servers[0], servers[1]:
        fields = {"runtime_id": PYTHON, "code": '{"source": "package"}'}
        created = send(servers[0], "POST", "/v1/functions", *form_of(fields, packed(CODE)))
        body = json.dumps({"function_id": created.json["id"], "pattern": "* * * * * *"}).encode()
        job = send(servers[1], "POST", "/v1/jobs", body, {"Content-Type": "application/json"}).json
        chance = random.Random(4711)
        began = time.monotonic()
        while time.monotonic() - began < SECONDS:
            time.sleep(chance.uniform(0.2, 1.5))
            victim = chance.choice(servers)
            victim.kill()
            if chance.random() < 0.5:
                # Sometimes nobody is there for a while.
                time.sleep(chance.uniform(0.2, 1.0))
            victim.start()
        due = caught_up(servers[0], job["id"])
    assert len(set(due)) == len(due) >= SECONDS
    # No time was left out: those who came back made up for what was missed by seconds.
    assert sorted(due) == list(range(min(due), max(due) + 1))


def caught_up(server, job):
    """The due times of all executions, seconds since 1970, as soon as none is owed any more."""
    began, deadline = time.time(), time.monotonic() + PATIENCE
    with grpc.insecure_channel(server.grpc) as channel:
        jobs = job_service_pb2_grpc.JobServiceStub(channel)
        parent = jobs.GetJob(job_access_pb2.GetJobRequest(job=uid_of(jobs, job))).job.number
        request = job_access_pb2.ListJobsRequest(filter=f"parent = {parent}", page_size=1000)
        while True:
            found = [each.due_time.seconds for each in jobs.ListJobs(request).jobs]
            if max(found, default=0) > began:
                return found
            assert time.monotonic() < deadline, "the schedule does not go on"
            time.sleep(0.2)


def uid_of(jobs, external_id):
    request = job_access_pb2.ListJobsRequest(filter=f'external_id = "{external_id}"')
    (found,) = jobs.ListJobs(request).jobs
    return found.uid
