"""A server whose database cannot be written to says so at both doors, serves reads, and comes back by itself."""

import http.client
import sqlite3
import time
from contextlib import closing

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from jobyard.jobs.v1 import job_access_pb2, job_service_pb2_grpc, job_submit_pb2
from support.running import Server

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


def ready(server):
    connection = http.client.HTTPConnection(server.rest, timeout=60)
    with closing(connection):
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def until(condition, seconds=60.0):
    ends = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < ends
        time.sleep(0.1)
    return found


@pytest.mark.timeout(300)
def test_the_database_is_gone_for_a_while(tmp_path):
    with Server(tmp_path) as server, grpc.insecure_channel(server.grpc) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        jobs = job_service_pb2_grpc.JobServiceStub(channel)

        def told():
            names = ("", "jobyard.jobs.v1.JobService")
            return {health.Check(health_pb2.HealthCheckRequest(service=name)).status for name in names}

        job = jobs.SubmitJob(job_submit_pb2.SubmitJobRequest(queue="nobody")).job
        assert (ready(server)[0], told()) == (200, {SERVING})
        # Somebody else keeps the file to himself: longer than a writer waits for its turn.
        with closing(sqlite3.connect(server.database.removeprefix("sqlite:///"), isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            until(lambda: (found := ready(server))[0] == 503 and "store: unreachable" in found[1])
            until(lambda: told() == {NOT_SERVING})
            with pytest.raises(grpc.RpcError) as refused:
                jobs.SubmitJob(job_submit_pb2.SubmitJobRequest(queue="nobody"))
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
            assert jobs.GetJob(job_access_pb2.GetJobRequest(job=job.uid)).job.uid == job.uid
            other.execute("ROLLBACK")
        until(lambda: ready(server)[0] == 200)
        until(lambda: told() == {SERVING})
        assert jobs.SubmitJob(job_submit_pb2.SubmitJobRequest(queue="nobody")).job.number > job.number
