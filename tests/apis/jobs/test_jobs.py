"""JobService over gRPC: submit, read, list, cancel, delete, import, watch."""

import asyncio
import json

import aiohttp
import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from jobyard.jobs.v1 import event_pb2, job_access_pb2, job_submit_pb2, job_watch_pb2, state_pb2
from support.yarding import refused

pytestmark = pytest.mark.timeout(300)


async def test_a_job_says_everything_about_itself(jobs):
    payload = '{"b": 1.50,  "a":[]}'
    job = await jobs.submit(payload, labels={"k": "v"}, display_name="n", priority=4, fair_key="f")
    assert await jobs.get(job) == job
    assert (job.api, job.tenant, job.created_by, job.fair_key) == ("jobs", "default", "anonymous", "f")
    assert (job.mode, job.state) == (state_pb2.MODE_ONCE, state_pb2.STATE_PENDING)
    assert (job.queue, job.priority, job.display_name, dict(job.labels)) == (jobs.queue, 4, "n", {"k": "v"})
    assert (job.subjobs.pending, job.generation, job.terminal) == (1, 1, False)
    assert not job.HasField("start_time")
    subjob = await jobs.subjob(job)
    assert (subjob.job, subjob.ordinal, subjob.payload, subjob.result) == (job.number, 0, payload, "null")
    by_number = await jobs.stub.GetJob(job_access_pb2.GetJobRequest(job=str(job.number)))
    assert by_number.job == job


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"payload": "{"}, ["payload"]),
        ({"payload": "1", "subjobs": [{"payload": "2"}]}, ["payload"]),
        ({"subjobs": [{"payload": "1"}, {"payload": "x"}]}, ["subjobs[1].payload"]),
        ({"priority": 10}, ["priority"]),
        ({"definition_version": 2}, ["definition_version"]),
        ({"labels": {"": "x"}}, ['labels[""]']),
        ({"retry": {"max_attempts": 1001}}, ["retry.max_attempts"]),
        ({"retry": {"multiplier": float("nan")}}, ["retry.multiplier"]),
        ({"mode": 7}, ["mode"]),
        ({"expires_after": {"seconds": -1}}, ["expires_after"]),
        ({"expires_after": {"seconds": 315_576_000_000}}, ["expires_after"]),
        ({"expires_after": {"seconds": 2**63 - 1}}, ["expires_after"]),
        ({"schedule": {"cron": "0 0 1 1 *"}, "expires_after": {"seconds": 2**63 - 1}}, ["expires_after"]),
        ({"display_name": "x" * 256, "priority": -1}, ["display_name", "priority"]),
    ],
)
async def test_a_wrong_submit_names_its_fields(jobs, fields, wrong):
    code, reason, found = await refused(jobs.stub.SubmitJob(job_submit_pb2.SubmitJobRequest(**fields)))
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert set(found) == set(wrong)


async def test_the_same_request_under_a_key_is_one_job(jobs):
    request = job_submit_pb2.SubmitJobRequest(queue=jobs.queue, payload="1", idempotency_key=jobs.queue)
    answers = await asyncio.gather(*[jobs.stub.SubmitJob(request) for _ in range(20)])
    assert len({answer.job.uid for answer in answers}) == 1
    assert sum(not answer.replayed for answer in answers) == 1
    request.payload = "2"
    code, reason, _ = await refused(jobs.stub.SubmitJob(request))
    assert (code, reason) == (grpc.StatusCode.ALREADY_EXISTS, "IDEMPOTENCY_KEY_REUSED")


async def test_a_batch_is_all_or_nothing(jobs):
    good = {"queue": jobs.queue, "payload": "1"}
    answer = await jobs.stub.SubmitJobs(job_submit_pb2.SubmitJobsRequest(requests=[good] * 3))
    numbers = [response.job.number for response in answer.responses]
    assert numbers == sorted(set(numbers))
    bad = job_submit_pb2.SubmitJobsRequest(requests=[good, {**good, "definition": "none"}])
    code, reason, fields = await refused(jobs.stub.SubmitJobs(bad))
    assert (code, reason) == (grpc.StatusCode.NOT_FOUND, "DEFINITION_REFERENCE_UNKNOWN")
    assert fields == ["requests[1].definition"]
    damaged = job_submit_pb2.SubmitJobsRequest(requests=[good, good, {**good, "payload": "{"}])
    assert (await refused(jobs.stub.SubmitJobs(damaged)))[2] == ["requests[2].payload"]
    listed = await jobs.stub.ListJobs(job_access_pb2.ListJobsRequest(filter=f"queue = {jobs.queue}"))
    assert [job.number for job in listed.jobs] == numbers[::-1]


async def test_lists_are_filtered_ordered_and_paged(jobs):
    for priority in (3, 1, 2):
        await jobs.submit(priority=priority, labels={"p": str(priority)})
    request = job_access_pb2.ListJobsRequest(filter=f"queue = {jobs.queue}", order_by="priority", page_size=2)
    first = await jobs.stub.ListJobs(request)
    request.page_token = first.next_page_token
    second = await jobs.stub.ListJobs(request)
    assert [job.priority for job in (*first.jobs, *second.jobs)] == [1, 2, 3]
    assert not second.next_page_token
    request.filter = f"queue = {jobs.queue} AND labels.p = 2"
    assert (await refused(jobs.stub.ListJobs(request)))[1] == "INVALID_PAGE_TOKEN"
    request.page_token = ""
    assert [job.priority for job in (await jobs.stub.ListJobs(request)).jobs] == [2]


async def test_cancel_is_told_once_and_can_be_said_twice(jobs):
    job = await jobs.submit()
    first = await jobs.stub.CancelJob(job_access_pb2.CancelJobRequest(job=job.uid, message="changed my mind"))
    again = await jobs.stub.CancelJob(job_access_pb2.CancelJobRequest(job=job.uid))
    assert first.job.state == state_pb2.STATE_CANCELLED
    assert (first.job.message, first.job.cancel_requested, first.job.terminal) == ("changed my mind", True, True)
    assert again.job == first.job


async def test_delete_wants_an_end_or_force_and_the_etag_that_was_seen(jobs):
    job = await jobs.submit()
    request = job_access_pb2.DeleteJobRequest(job=job.uid, etag="999")
    assert (await refused(jobs.stub.DeleteJob(request)))[:2] == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    request.etag = job.etag
    assert (await refused(jobs.stub.DeleteJob(request)))[:2] == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "JOB_NOT_FINISHED",
    )
    request.force = True
    await jobs.stub.DeleteJob(request)
    get = job_access_pb2.GetJobRequest(job=job.uid)
    assert (await refused(jobs.stub.GetJob(get)))[:2] == (grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND")


@pytest.mark.parametrize("name", ["1000000000", "no-such-uid", "9" * 64])
async def test_what_is_not_there_is_not_found_by_any_method(jobs, name):
    stub = jobs.stub
    for call in (
        stub.GetJob(job_access_pb2.GetJobRequest(job=name)),
        stub.CancelJob(job_access_pb2.CancelJobRequest(job=name)),
        stub.DeleteJob(job_access_pb2.DeleteJobRequest(job=name)),
        stub.ListSubjobs(job_access_pb2.ListSubjobsRequest(job=name)),
        stub.ListAttempts(job_access_pb2.ListAttemptsRequest(job=name)),
        _first(stub.WatchJobs(job_watch_pb2.WatchJobsRequest(job=name))),
        _first(stub.GetLog(job_watch_pb2.GetLogRequest(job=name))),
    ):
        assert (await refused(call))[:2] == (grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND")


async def _first(stream):
    async for message in stream:
        return message
    return None


async def test_imported_jobs_keep_what_they_were(jobs):
    number = 500_000_000 + int(jobs.queue[-6:], 16)
    history = {
        "number": number,
        "state": state_pb2.STATE_FAILED,
        "message": "disk full",
        "created_by": "ann",
        "queue": jobs.queue,
        "create_time": Timestamp(seconds=1_700_000_000, nanos=123_456_000),
        "update_time": Timestamp(seconds=1_700_000_100),
    }
    request = job_submit_pb2.ImportJobsRequest(jobs=[history])
    for _ in range(2):
        (job,) = (await jobs.stub.ImportJobs(request)).jobs
        assert (job.number, job.state, job.message, job.created_by) == (
            number,
            state_pb2.STATE_FAILED,
            "disk full",
            "ann",
        )
        assert job.create_time == history["create_time"]
        assert job.terminal
    wrong = job_submit_pb2.ImportJobsRequest(jobs=[history, {**history, "api": "nobody"}])
    assert (await refused(jobs.stub.ImportJobs(wrong)))[2] == ["jobs[1].api"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"state": state_pb2.STATE_CANCELLING}, "state"),
        ({"create_time": {"seconds": -1}}, "create_time"),
        ({"update_time": {"seconds": 253_402_300_800}}, "update_time"),
        ({"update_time": {"seconds": 2**63 - 1}}, "update_time"),
        ({"update_time": {"seconds": -(2**63)}}, "update_time"),
    ],
)
async def test_an_import_that_nobody_could_show_or_end_is_refused(jobs, wrong, field):
    job = {"queue": jobs.queue, "state": state_pb2.STATE_SUCCEEDED} | wrong
    code, reason, found = await refused(jobs.stub.ImportJobs(job_submit_pb2.ImportJobsRequest(jobs=[job])))
    assert (code, reason, found) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", [f"jobs[0].{field}"])


async def test_history_to_the_last_second_of_calendars_is_shown(server, jobs):
    job = {"state": "STATE_SUCCEEDED", "queue": jobs.queue, "update_time": "9999-12-31T23:59:59Z"}
    async with aiohttp.ClientSession() as client:
        made = await client.post(f"{server.url}/jobyard/v1/jobs:import", json={"jobs": [job]})
        shown = (await made.json())["jobs"][0]
        assert (made.status, shown["update_time"], shown["expire_time"][:4]) == (200, "9999-12-31T23:59:59Z", "9999")


async def test_a_watch_tells_a_jobs_life_from_its_first_event_and_ends_with_it(jobs):
    job = await jobs.submit()
    request = job_watch_pb2.WatchJobsRequest(job=job.uid, until_terminal=True, include_job=True)
    seen = []

    async def watch():
        seen.extend([message async for message in jobs.stub.WatchJobs(request) if message.HasField("event")])

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0.2)
    await jobs.cancel(job)
    await asyncio.wait_for(watching, 60)
    types = [message.event.type for message in seen]
    assert types[0] == event_pb2.EVENT_TYPE_JOB_SUBMITTED
    assert event_pb2.EVENT_TYPE_CANCEL_REQUESTED in types
    assert [message.event.job_seq for message in seen] == list(range(1, len(seen) + 1))
    assert seen[-1].event.state == state_pb2.STATE_CANCELLED
    assert seen[-1].job.uid == job.uid
    # Taken up in the middle, it tells the rest and nothing twice.
    request.resume_token = seen[0].resume_token
    rest = [message async for message in jobs.stub.WatchJobs(request) if message.HasField("event")]
    assert [message.event for message in rest] == [message.event for message in seen[1:]]


async def test_a_watch_goes_on_where_a_list_was_read(jobs):
    before = await jobs.submit()
    listed = await jobs.stub.ListJobs(job_access_pb2.ListJobsRequest(filter=f"queue = {jobs.queue}"))
    after = await jobs.submit()
    request = job_watch_pb2.WatchJobsRequest(filter=f"queue = {jobs.queue}", resume_token=listed.watch_token)
    first = await asyncio.wait_for(_first(jobs.stub.WatchJobs(request)), 60)
    assert [job.uid for job in listed.jobs] == [before.uid]
    assert first.event.job_uid == after.uid


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"until_terminal": True}, "INVALID_FIELD", "until_terminal"),
        ({"resume_token": "damaged"}, "INVALID_FIELD", "resume_token"),
        ({"filter": "colour = red"}, "INVALID_FILTER", "filter"),
        ({"filter": "("}, "INVALID_FILTER", "filter"),
    ],
)
async def test_a_wrong_watch_names_its_field(jobs, fields, reason, field):
    _, found, fields_ = await refused(_first(jobs.stub.WatchJobs(job_watch_pb2.WatchJobsRequest(**fields))))
    assert (found, fields_) == (reason, [field])


async def test_attributes_and_spec_are_json_for_grpc_clients_too(jobs):
    job = await jobs.submit()
    assert (json.loads(job.spec), json.loads(job.attributes)) == ({}, {})
