"""A worker that sleeps past its lease cannot change what another worker finished."""

import signal
import time

import grpc
import pytest

from jobyard.jobs.v1 import job_access_pb2, job_service_pb2_grpc, job_submit_pb2, job_watch_pb2, state_pb2, subjob_pb2
from support.running import Server, Worker

LEASE_SECONDS = 4

# Each worker writes who it is as the result; the first one sleeps longer than anybody waits.
SLOW = 'bash -c \'sleep 8; echo {\\"by\\":\\"slow\\"} > $JOBYARD_RESULT_FILE\''
FAST = 'bash -c \'echo {\\"by\\":\\"fast\\"} > $JOBYARD_RESULT_FILE\''


def wait_for(what, condition, seconds=60.0):
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"no {what} within {seconds} s"
        time.sleep(0.05)


@pytest.mark.timeout(300)
def test_a_frozen_worker_cannot_undo_another_workers_result(tmp_path):
    settings = {"JOBYARD_LEASE_SECONDS": str(LEASE_SECONDS), "JOBYARD_HEARTBEAT_SECONDS": "0.5"}
    with (
        Server(tmp_path, "--dev", JOBYARD_DEV_WORKER="false", **settings) as server,
        grpc.insecure_channel(server.grpc) as channel,
    ):
        jobs = job_service_pb2_grpc.JobServiceStub(channel)
        job = jobs.SubmitJob(job_submit_pb2.SubmitJobRequest(queue="q", payload="{}")).job

        def now():
            return jobs.GetJob(job_access_pb2.GetJobRequest(job=job.uid)).job

        with Worker(server, "q", SLOW, name="zombie") as zombie:
            wait_for("lease of the first worker", lambda: now().state == state_pb2.STATE_RUNNING)
            zombie.signal(signal.SIGSTOP)
            wait_for("requeue", lambda: now().state == state_pb2.STATE_PENDING)
            with Worker(server, "q", FAST, name="second"):
                wait_for("result of the second worker", lambda: now().state == state_pb2.STATE_SUCCEEDED)
            finished = now()
            zombie.signal(signal.SIGCONT)
            # Long enough for the first program to end and its worker to report it.
            time.sleep(3)
            assert now() == finished

        subjob = jobs.ListSubjobs(job_access_pb2.ListSubjobsRequest(job=job.uid)).subjobs[0]
        assert subjob.result.strip() == '{"by":"fast"}'
        attempts = jobs.ListAttempts(job_access_pb2.ListAttemptsRequest(job=job.uid, subjob=0)).attempts
        assert [a.outcome for a in attempts] == [
            subjob_pb2.ATTEMPT_OUTCOME_LOST,
            subjob_pb2.ATTEMPT_OUTCOME_SUCCEEDED,
        ]
        events = jobs.WatchJobs(job_watch_pb2.WatchJobsRequest(job=job.uid, until_terminal=True))
        seen = [message.event for message in events if message.HasField("event")]
        assert [event.job_seq for event in seen] == list(range(1, len(seen) + 1))
        assert sum(event.state == state_pb2.STATE_SUCCEEDED for event in seen) >= 1
