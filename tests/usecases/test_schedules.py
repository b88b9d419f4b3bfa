"""Schedules by use cases: who may touch them, and what a change leaves alone."""

import pytest

from jobyard_server.domain.reason import Reason, Refused
from jobyard_server.domain.schedule import CatchUp, Overlap, Schedule
from jobyard_server.domain.state import State
from jobyard_server.usecases.backfill_schedule import backfill_schedule
from jobyard_server.usecases.drafts import JobDraft, ScheduleDraft
from jobyard_server.usecases.list_schedule_fires import list_schedule_fires
from jobyard_server.usecases.list_schedule_times import list_schedule_times
from jobyard_server.usecases.resume_job import resume_job
from jobyard_server.usecases.run_schedule_now import run_schedule_now
from jobyard_server.usecases.submit_job import submit_job
from jobyard_server.usecases.suspend_job import suspend_job
from jobyard_server.usecases.update_schedule import ScheduleChange, update_schedule
from support.scheduling import child

HOURLY = Schedule(cron="0 * * * *")
HOUR = 3_600_000_000


def keep(kept, _now):
    return ScheduleChange(kept.schedule, kept.progress.remaining)


async def make(_, times):
    return [child(time.job, time.due_at) for time in times]


async def submit(store, call, schedule=HOURLY, **changes):
    return (await submit_job(store, call, JobDraft(schedule=ScheduleDraft(schedule, **changes)))).job


async def test_schedules_of_others_do_not_exist(store, ann, stranger):
    job = await submit(store, ann)
    for attempt in (
        lambda call: update_schedule(store, call, job.uid, keep),
        lambda call: run_schedule_now(store, call, {"jobs": make}, job.uid),
        lambda call: backfill_schedule(store, call, job.uid, 0, 1),
        lambda call: list_schedule_times(store, call, job.uid),
        lambda call: list_schedule_fires(store, call, job.uid),
        lambda call: suspend_job(store, call, job.uid),
    ):
        with pytest.raises(Refused) as caught:
            await attempt(stranger)
        assert caught.value.refusal.reason is Reason.JOB_NOT_FOUND
        await attempt(ann)


async def test_a_change_of_nothing_keeps_what_waits(store, ann):
    job = await submit(store, ann, remaining=9)
    now = await store.read.now()
    times = await backfill_schedule(store, ann, job.uid, now - 3 * HOUR, now - HOUR)
    before = await store.read.schedule(job.number)
    assert before.progress.backfill == tuple(times)
    _, after = await update_schedule(store, ann, job.uid, keep)
    assert (after.schedule, after.progress) == (before.schedule, before.progress)
    _, moved = await update_schedule(
        store, ann, job.uid, lambda _kept, now: ScheduleChange(Schedule(cron="0 0 * * *"), 2, now + 7)
    )
    assert moved.progress.backfill == tuple(times)
    assert moved.progress.remaining == 2
    assert moved.progress.next_due % HOUR != 0


async def test_a_backfill_has_an_end(store, ann):
    job = await submit(store, ann, Schedule(cron="* * * * *"))
    now = await store.read.now()
    with pytest.raises(Refused, match="more than 1000 times"):
        await backfill_schedule(store, ann, job.uid, now - 24 * HOUR, now)
    assert (await store.read.schedule(job.number)).progress.backfill == ()
    assert len(await backfill_schedule(store, ann, job.uid, now - 10 * HOUR, now)) == 600
    with pytest.raises(Refused, match="more than 1000 times"):
        await backfill_schedule(store, ann, job.uid, now - 20 * HOUR, now)


async def test_a_job_run_by_hand_is_of_whoever_asked(store, ann, operator):
    job = await submit(store, ann)
    made = (await run_schedule_now(store, operator, {"jobs": make}, job.uid)).job
    assert (made.parent, made.tenant, made.created_by) == (job.number, "acme", "root")
    with pytest.raises(Refused) as caught:
        await run_schedule_now(store, ann, {}, job.uid)
    assert caught.value.refusal.reason is Reason.STATE_CONFLICT


async def test_one_time_that_passed_during_a_pause_may_end_the_schedule(store, ann):
    now = await store.read.now()
    job = await submit(store, ann, Schedule(at=now - 5, catch_up=CatchUp.NONE, overlap=Overlap.ALLOW), paused=True)
    assert job.state is State.SUSPENDED
    ended = await resume_job(store, ann, job.uid)
    assert (ended.state, ended.terminal) == (State.SUCCEEDED, True)
    assert await list_schedule_times(store, ann, job.uid) == []
