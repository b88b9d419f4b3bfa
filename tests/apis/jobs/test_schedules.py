"""ScheduleService and scheduled jobs over gRPC and REST: submit, look, change, pause, run, backfill."""

import asyncio
import json
import time
import urllib.request

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from jobyard.jobs.v1 import (
    definition_pb2,
    definition_service_pb2,
    definition_service_pb2_grpc,
    job_access_pb2,
    job_submit_pb2,
    schedule_access_pb2,
    schedule_pb2,
    schedule_service_pb2_grpc,
    state_pb2,
)
from support.yarding import refused

pytestmark = pytest.mark.timeout(300)

YEARLY = schedule_pb2.Schedule(cron="0 6 1 1 *", time_zone="Europe/Vienna")
EVERY_SECOND = schedule_pb2.Schedule(
    cron="* * * * * *", seconds=schedule_pb2.CRON_SECONDS_FIRST, overlap=schedule_pb2.OVERLAP_POLICY_ALLOW
)
HOUR = 3600


class Schedules:
    """ScheduleService in few words."""

    def __init__(self, channel):
        self.stub = schedule_service_pb2_grpc.ScheduleServiceStub(channel)

    async def update(self, job, *paths, etag="", **fields):
        request = schedule_access_pb2.UpdateScheduleRequest(
            job=job.uid, schedule=schedule_pb2.Schedule(**fields), etag=etag,
            update_mask=FieldMask(paths=paths) if paths else None,
        )  # fmt: skip
        return (await self.stub.UpdateSchedule(request)).job

    async def times(self, job, count=0):
        request = schedule_access_pb2.ListFireTimesRequest(job=job.uid, count=count)
        return [one.seconds for one in (await self.stub.ListFireTimes(request)).times]

    async def fires(self, job, size=0, token=""):
        request = schedule_access_pb2.ListFiresRequest(job=job.uid, page_size=size, page_token=token)
        return await self.stub.ListFires(request)

    async def preview(self, count=0, **fields):
        request = schedule_access_pb2.PreviewScheduleRequest(schedule=schedule_pb2.Schedule(**fields), count=count)
        return [one.ToJsonString() for one in (await self.stub.PreviewSchedule(request)).times]

    async def run(self, job, key=""):
        request = schedule_access_pb2.RunJobNowRequest(job=job.uid, idempotency_key=key)
        return (await self.stub.RunJobNow(request)).job

    async def backfill(self, job, first, last):
        request = schedule_access_pb2.BackfillJobRequest(
            job=job.uid, start_time=Timestamp(seconds=first), end_time=Timestamp(seconds=last)
        )
        return [one.seconds for one in (await self.stub.BackfillJob(request)).times]

    async def pause(self, job):
        return (await self.stub.PauseSchedule(schedule_access_pb2.PauseScheduleRequest(job=job.uid, message="why"))).job

    async def resume(self, job):
        return (await self.stub.ResumeSchedule(schedule_access_pb2.ResumeScheduleRequest(job=job.uid))).job


@pytest.fixture
def schedules(jobs):
    return Schedules(jobs.channel)


async def children(jobs, job, count, seconds=60.0):
    """The jobs that a schedule made, when there are so many."""
    request = job_access_pb2.ListJobsRequest(filter=f"parent = {job.number}", order_by="number")
    async with asyncio.timeout(seconds):
        while len(found := (await jobs.stub.ListJobs(request)).jobs) < count:
            await asyncio.sleep(0.05)
    return list(found)


def strftime(seconds):
    return time.strftime("%m-%d %H:%M", time.gmtime(seconds))


# --- submit and look -----------------------------------------------------------------------------------------------


async def test_a_scheduled_job_shows_its_schedule(jobs, schedules):
    job = await jobs.submit('{"a": 1.0}', schedule=YEARLY, priority=3, labels={"k": "v"})
    assert (job.mode, job.state) == (state_pb2.MODE_SCHEDULED, state_pb2.STATE_RUNNING)
    assert (job.subjobs.pending, job.parent) == (0, 0)
    said = job.schedule
    assert (said.cron, said.time_zone) == (YEARLY.cron, YEARLY.time_zone)
    assert said.overlap == schedule_pb2.OVERLAP_POLICY_SKIP
    assert said.catch_up == schedule_pb2.CATCH_UP_POLICY_NEWEST
    assert not said.HasField("remaining")
    assert strftime(said.next_due_time.seconds) == "01-01 05:00"
    assert '"payload":{"a": 1.0}' in job.spec
    assert await jobs.get(job) == job
    request = job_access_pb2.ListJobsRequest(filter=f"number = {job.number}")
    assert list((await jobs.stub.ListJobs(request)).jobs) == [job]


async def test_jobs_are_made_as_the_submit_said(jobs, schedules):
    job = await jobs.submit(
        "", schedule=schedule_pb2.Schedule(run_time=Timestamp(seconds=1)), display_name="night", priority=7,
        subjobs=[{"payload": "1.50", "key": "a"}, {"payload": '{"x":  2}'}], labels={"k": "v"}, fair_key="f",
        retry={"max_attempts": 3, "initial_backoff": Duration(seconds=5)}, expires_after=Duration(seconds=HOUR),
    )  # fmt: skip
    (child,) = await children(jobs, job, 1)
    assert (child.parent, child.due_time.seconds) == (job.number, 1)
    assert (child.display_name, child.priority, dict(child.labels), child.fair_key) == ("night", 7, {"k": "v"}, "f")
    assert (child.created_by, child.queue, child.subjobs.pending) == ("anonymous", jobs.queue, 2)
    pieces = (await jobs.stub.ListSubjobs(job_access_pb2.ListSubjobsRequest(job=child.uid))).subjobs
    assert [(one.key, one.payload) for one in pieces] == [("a", "1.50"), ("", '{"x":  2}')]
    ended = await jobs.until(job)
    assert ended.state == state_pb2.STATE_SUCCEEDED
    assert not ended.schedule.HasField("next_due_time")
    assert await schedules.times(job) == []
    cancelled = await jobs.cancel(child)
    assert cancelled.expire_time.seconds - cancelled.end_time.seconds == HOUR


async def test_jobs_come_every_second_until_none_remains(jobs, schedules):
    every_second = schedule_pb2.Schedule()
    every_second.CopyFrom(EVERY_SECOND)
    every_second.remaining = 3
    job = await jobs.submit(schedule=every_second)
    await jobs.until(job)
    found = await children(jobs, job, 3)
    due = [child.due_time.seconds for child in found]
    assert due == [due[0], due[0] + 1, due[0] + 2]
    page = await schedules.fires(job, size=2)
    assert [(fire.job, fire.fate) for fire in page.fires] == [
        (child.number, schedule_pb2.FIRE_FATE_MADE) for child in found[:0:-1]
    ]
    last = await schedules.fires(job, size=2, token=page.next_page_token)
    assert [fire.due_time.seconds for fire in last.fires] == [due[0]]
    assert last.next_page_token == ""


async def test_a_definition_counts_as_it_is_when_the_job_is_made(jobs, schedules):
    catalog = definition_service_pb2_grpc.DefinitionServiceStub(jobs.channel)
    name = f"def-{jobs.queue}"

    async def put(**changes):
        definition = definition_pb2.Definition(id=name, queue=jobs.queue, **changes)
        await catalog.PutDefinition(definition_service_pb2.PutDefinitionRequest(definition=definition))

    await put(spec='{"payload":  "first"}')
    job = await jobs.submit("", queue="", definition=name, schedule=YEARLY)
    await put(spec='{"payload":  "second"}')
    child = await schedules.run(job)
    assert (await jobs.subjob(child)).payload == '"second"'
    await put(disabled=True)
    code, reason, _ = await refused(schedules.stub.RunJobNow(schedule_access_pb2.RunJobNowRequest(job=job.uid)))
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "DEFINITION_DISABLED")
    await jobs.cancel(child)
    now = int(time.time())
    await schedules.update(job, next_due_time=Timestamp(seconds=now))
    async with asyncio.timeout(60):
        while (await jobs.get(job)).schedule.last_due_time.seconds != now:
            await asyncio.sleep(0.05)
    (fire,) = [one for one in (await schedules.fires(job)).fires if one.due_time.ToNanoseconds() == now * 10**9]
    assert (fire.fate, fire.reason, fire.job) == (schedule_pb2.FIRE_FATE_REFUSED, "DEFINITION_DISABLED", 0)
    assert (await jobs.get(job)).state == state_pb2.STATE_RUNNING


@pytest.mark.parametrize(
    ("schedule", "wrong"),
    [
        ({}, "schedule"),
        ({"cron": "* * * *"}, "schedule.cron"),
        ({"cron": "0 0 30 2 *"}, "schedule.cron"),
        ({"cron": "* * * * *", "run_time": Timestamp(seconds=5)}, "schedule"),
        ({"cron": "* * * * *", "time_zone": "Mars/Olympus"}, "schedule.time_zone"),
        (
            {"cron": "* * * * *", "start_time": Timestamp(seconds=9), "end_time": Timestamp(seconds=5)},
            "schedule.end_time",
        ),
        ({"cron": "* * * * *", "end_time": Timestamp(seconds=5)}, "schedule.cron"),
        ({"run_time": Timestamp(seconds=2**60)}, "schedule.run_time"),
        ({"run_time": Timestamp(seconds=-1)}, "schedule.run_time"),
        ({"cron": "* * * * *", "overlap": 99}, "schedule.overlap"),
        ({"cron": "* * * * *", "jitter": Duration(seconds=-1)}, "schedule.jitter"),
        ({"cron": "* * * * *", "remaining": 0}, "schedule.remaining"),
    ],
)
async def test_a_wrong_schedule_names_its_field(jobs, schedules, schedule, wrong):
    said = schedule_pb2.Schedule(**schedule)
    for call in (
        jobs.stub.SubmitJob(job_submit_pb2.SubmitJobRequest(schedule=said)),
        schedules.stub.PreviewSchedule(schedule_access_pb2.PreviewScheduleRequest(schedule=said)),
    ):
        code, reason, found = await refused(call)
        assert (code, reason, list(found)) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", [wrong])


@pytest.mark.parametrize(
    "fields", [{"mode": state_pb2.MODE_SCHEDULED}, {"mode": state_pb2.MODE_ONCE, "schedule": YEARLY}]
)
async def test_a_mode_that_contradicts_is_refused(jobs, fields):
    code, _, found = await refused(jobs.stub.SubmitJob(job_submit_pb2.SubmitJobRequest(**fields)))
    assert (code, list(found)) == (grpc.StatusCode.INVALID_ARGUMENT, ["schedule"])


async def test_the_same_scheduled_request_under_a_key_is_one_job(jobs):
    request = job_submit_pb2.SubmitJobRequest(schedule=YEARLY, idempotency_key=jobs.queue, payload="1")
    first, again = [await jobs.stub.SubmitJob(request) for _ in range(2)]
    assert again.replayed
    assert again.job == first.job
    request.schedule.cron = "0 7 1 1 *"
    code, reason, _ = await refused(jobs.stub.SubmitJob(request))
    assert (code, reason) == (grpc.StatusCode.ALREADY_EXISTS, "IDEMPOTENCY_KEY_REUSED")


# --- try out -------------------------------------------------------------------------------------------------------


async def test_times_may_be_looked_at_before_and_after(jobs, schedules):
    job = await jobs.submit(schedule=YEARLY)
    assert [strftime(one) for one in await schedules.times(job, 2)] == ["01-01 05:00"] * 2
    assert len(await schedules.times(job)) == 10
    found = await schedules.preview(3, cron="30 1 1 11 *", time_zone="America/New_York", remaining=2)
    assert [one[4:] for one in found] == ["-11-01T05:30:00Z"] * 2


async def test_a_job_without_a_schedule_says_so(jobs, schedules):
    job = await jobs.submit()
    for call in (
        schedules.stub.ListFireTimes(schedule_access_pb2.ListFireTimesRequest(job=job.uid)),
        schedules.stub.PauseSchedule(schedule_access_pb2.PauseScheduleRequest(job=job.uid)),
        schedules.stub.UpdateSchedule(schedule_access_pb2.UpdateScheduleRequest(job=job.uid, schedule=YEARLY)),
        schedules.stub.RunJobNow(schedule_access_pb2.RunJobNowRequest(job=job.uid)),
        schedules.stub.ListFires(schedule_access_pb2.ListFiresRequest(job=job.uid)),
    ):
        code, reason, _ = await refused(call)
        assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STATE_CONFLICT")


# --- change --------------------------------------------------------------------------------------------------------


async def test_a_change_takes_what_is_named_and_keeps_the_rest(jobs, schedules):
    job = await jobs.submit(
        schedule=schedule_pb2.Schedule(
            cron="0 6 1 1 *", time_zone="Europe/Vienna", remaining=5, jitter=Duration(seconds=1)
        )
    )
    changed = await schedules.update(job, overlap=schedule_pb2.OVERLAP_POLICY_ALLOW)
    expected = schedule_pb2.Schedule()
    expected.CopyFrom(job.schedule)
    expected.overlap = schedule_pb2.OVERLAP_POLICY_ALLOW
    assert changed.schedule == expected
    assert changed.etag != job.etag
    dropped = await schedules.update(job, "remaining", "jitter", "time_zone")
    assert not dropped.schedule.HasField("remaining")
    assert not dropped.schedule.HasField("jitter")
    assert dropped.schedule.time_zone == "UTC"
    assert strftime(dropped.schedule.next_due_time.seconds) == "01-01 06:00"
    once = await schedules.update(job, run_time=Timestamp(seconds=4_000_000_000))
    assert (once.schedule.cron, once.schedule.next_due_time.seconds) == ("", 4_000_000_000)
    back = await schedules.update(job, cron="0 7 1 1 *")
    assert not back.schedule.HasField("run_time")
    assert await jobs.get(job) == back


async def test_an_odd_time_may_come_next(jobs, schedules):
    job = await jobs.submit(schedule=YEARLY)
    odd = int(time.time()) + HOUR
    changed = await schedules.update(job, next_due_time=Timestamp(seconds=odd))
    assert changed.schedule.cron == YEARLY.cron
    assert (await schedules.times(job, 2))[0] == odd
    assert strftime((await schedules.times(job, 2))[1]) == "01-01 05:00"


async def test_a_wrong_change_changes_nothing(jobs, schedules):
    job = await jobs.submit(schedule=YEARLY)
    for paths, fields, wrong in (
        ((), {"cron": "x"}, "schedule.cron"),
        (("paused",), {}, "update_mask"),
        (("buffered",), {}, "update_mask"),
        (("nonsense",), {}, "update_mask"),
        (("cron",), {}, "schedule"),
    ):
        request = schedule_access_pb2.UpdateScheduleRequest(
            job=job.uid, schedule=schedule_pb2.Schedule(**fields),
            update_mask=FieldMask(paths=paths) if paths else None,
        )  # fmt: skip
        code, _, found = await refused(schedules.stub.UpdateSchedule(request))
        assert (code, list(found)) == (grpc.StatusCode.INVALID_ARGUMENT, [wrong])
    stale = schedule_access_pb2.UpdateScheduleRequest(job=job.uid, schedule=YEARLY, etag="99")
    assert (await refused(schedules.stub.UpdateSchedule(stale)))[:2] == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert await jobs.get(job) == job


async def test_what_has_ended_is_not_changed(jobs, schedules):
    job = await jobs.submit(schedule=YEARLY)
    assert (await jobs.cancel(job)).state == state_pb2.STATE_CANCELLED
    for call in (
        schedules.stub.UpdateSchedule(schedule_access_pb2.UpdateScheduleRequest(job=job.uid, schedule=YEARLY)),
        schedules.stub.PauseSchedule(schedule_access_pb2.PauseScheduleRequest(job=job.uid)),
        schedules.stub.RunJobNow(schedule_access_pb2.RunJobNowRequest(job=job.uid)),
    ):
        assert (await refused(call))[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "JOB_FINISHED")


# --- pause, run, backfill ------------------------------------------------------------------------------------------


async def test_a_paused_schedule_makes_nothing_until_it_is_resumed(jobs, schedules):
    job = await jobs.submit(schedule=EVERY_SECOND)
    await children(jobs, job, 1)
    paused = await schedules.pause(job)
    assert (paused.state, paused.schedule.paused, paused.message) == (state_pb2.STATE_SUSPENDED, True, "why")
    assert await schedules.pause(job) == paused
    before = len(await children(jobs, job, 1))
    await asyncio.sleep(1.6)
    assert len(await children(jobs, job, 1)) == before
    assert (await schedules.resume(job)).state == state_pb2.STATE_RUNNING
    await children(jobs, job, before + 1)
    await jobs.cancel(job)


async def test_a_schedule_may_begin_paused(jobs, schedules):
    paused = schedule_pb2.Schedule()
    paused.CopyFrom(EVERY_SECOND)
    paused.paused = True
    job = await jobs.submit(schedule=paused)
    assert job.state == state_pb2.STATE_SUSPENDED
    await asyncio.sleep(1.3)
    assert await children(jobs, job, 0) == []


async def test_a_job_run_by_hand_comes_besides(jobs, schedules):
    job = await jobs.submit('{"n": 1}', schedule=YEARLY)
    await schedules.pause(job)
    first = await schedules.run(job, "key")
    assert first.parent == job.number
    assert abs(first.due_time.seconds - time.time()) < 120
    assert (await schedules.run(job, "key")).uid == first.uid
    assert (await schedules.run(job)).uid != first.uid
    assert (await jobs.subjob(first)).payload == '{"n": 1}'
    assert [fire.fate for fire in (await schedules.fires(job)).fires] == [schedule_pb2.FIRE_FATE_MADE] * 2


async def test_a_backfill_makes_each_time_once(jobs, schedules):
    hourly = schedule_pb2.Schedule(cron="0 * * * *", overlap=schedule_pb2.OVERLAP_POLICY_ALLOW)
    job = await jobs.submit(schedule=hourly)
    now = int(time.time())
    expected = [now // HOUR * HOUR - hours * HOUR for hours in (3, 2, 1)]
    assert await schedules.backfill(job, expected[0], expected[-1] + 5) == expected
    found = await children(jobs, job, 3)
    assert [child.due_time.seconds for child in found] == expected
    assert await schedules.backfill(job, expected[0], expected[-1]) == []
    for first, last in ((now, now - 60), (now, now + HOUR), (0, now)):
        request = schedule_access_pb2.BackfillJobRequest(
            job=job.uid, start_time=Timestamp(seconds=first), end_time=Timestamp(seconds=last)
        )
        code, _, wrong = await refused(schedules.stub.BackfillJob(request))
        assert (code, list(wrong)) == (grpc.StatusCode.INVALID_ARGUMENT, ["end_time"])


async def test_a_backfill_runs_one_after_the_other_where_jobs_may_not_overlap(jobs, schedules):
    job = await jobs.submit("1", schedule=schedule_pb2.Schedule(cron="0 * * * *"))
    base = int(time.time()) // HOUR * HOUR
    await schedules.backfill(job, base - 2 * HOUR, base - HOUR)
    (first,) = await children(jobs, job, 1)
    assert (await jobs.get(job)).schedule.backfilling == 1
    await jobs.cancel(first)
    assert [child.due_time.seconds for child in await children(jobs, job, 2)] == [base - 2 * HOUR, base - HOUR]


# --- over REST -----------------------------------------------------------------------------------------------------


def ask(server, method, path, body=None):
    request = urllib.request.Request(
        f"{server.url}/jobyard/v1/{path}", method=method, headers={"Content-Type": "application/json"},
        data=None if body is None else json.dumps(body).encode(),
    )  # fmt: skip
    with urllib.request.urlopen(request) as answer:
        return answer.status, json.load(answer)


async def test_schedules_over_rest(server):
    status, job = await asyncio.to_thread(
        ask, server, "POST", "jobs", {"payload": {"a": 1}, "schedule": {"cron": "0 6 * * mon-fri", "jitter": "1.5s"}}
    )
    assert (status, job["mode"], job["spec"]) == (201, "MODE_SCHEDULED", {"payload": {"a": 1}})
    path = f"jobs/{job['uid']}/schedule"
    status, changed = await asyncio.to_thread(ask, server, "PATCH", path, {"time_zone": "Asia/Tokyo"})
    assert (status, changed["schedule"]["time_zone"], changed["schedule"]["jitter"]) == (200, "Asia/Tokyo", "1.500s")
    status, times = await asyncio.to_thread(ask, server, "GET", f"{path}/times?count=2")
    assert (status, [one[10:] for one in times["times"]]) == (200, ["T21:00:00Z"] * 2)
    status, paused = await asyncio.to_thread(ask, server, "POST", f"{path}:pause", {})
    assert (status, paused["schedule"]["paused"]) == (200, True)
    status, made = await asyncio.to_thread(ask, server, "POST", f"{path}:run", {})
    assert (status, made["parent"]) == (201, job["number"])
    status, fires = await asyncio.to_thread(ask, server, "GET", f"{path}/fires")
    assert (status, [fire["job"] for fire in fires["fires"]]) == (200, [made["number"]])
    status, seen = await asyncio.to_thread(
        ask, server, "POST", "schedules:preview", {"schedule": {"cron": "0 0 1 1 *"}}
    )
    assert (status, len(seen["times"])) == (200, 10)
