"""The engine's schedules over a real store: every policy, every mishap, any number of engines at once."""

import asyncio
from collections import Counter

import pytest

from jobyard_server.domain.event import ENGINE, EventType
from jobyard_server.domain.firing import Fate
from jobyard_server.domain.job import NewSubjob
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.reason import Reason, Refusal, Refused, refuse
from jobyard_server.domain.schedule import CatchUp, Overlap, Schedule
from jobyard_server.domain.state import State
from jobyard_server.engine import schedule_plans, schedules
from jobyard_server.engine.schedule_plans import OVERLAPPED
from jobyard_server.engine.schedules import Scheduler
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.ports import Directive
from jobyard_server.usecases.resume_job import resume_job
from jobyard_server.usecases.suspend_job import suspend_job
from support.scheduling import EVERY_MINUTE, child, minute, scheduled

CALL = Call(Principal("ann", "acme"), "jobs")


async def make(_, times):
    """One plain job for each due time."""
    return [child(time.job, None, parent=None, labels={"at": str(time.due_at)}) for time in times]


@pytest.fixture
def scheduler(store):
    return Scheduler(store, {"jobs": make})


async def fires(store, job):
    found = await store.read.fires(job.number, before=None, limit=1000)
    return [((one.due_at - minute(0)) // 60_000_000, one.fate) for one in reversed(found)]


async def made(store, job):
    return [at for at, fate in await fires(store, job) if fate is Fate.MADE]


async def states(store, job):
    found = await store.read.fires(job.number, before=None, limit=1000)
    jobs = [await store.read.job(one.child, api=None, tenant=None) for one in reversed(found) if one.child]
    return [one.state for one in jobs]


async def run(scheduler, clock, minutes):
    """Minute for minute, until nothing is left to do each time."""
    for _ in range(minutes):
        clock.pass_by(60)
        while await scheduler.step():
            pass


# --- what is made --------------------------------------------------------------------------------------------------


async def test_jobs_are_made_at_their_times(store, clock, scheduler):
    job = (await store.submit(scheduled(Schedule(cron="*/2 * * * *", overlap=Overlap.ALLOW)))).job
    assert await scheduler.step() == 0
    await run(scheduler, clock, 7)
    assert await made(store, job) == [2, 4, 6]
    found = await store.read.fires(job.number, before=None, limit=1)
    newest = await store.read.job(found[0].child, api=None, tenant=None)
    assert (newest.parent, newest.due_at, newest.created_by) == (job.number, minute(6), "ann")
    assert newest.labels == {"at": str(minute(6))}
    assert scheduler.made == 3


async def test_a_schedule_ends_with_its_last_job(store, clock, scheduler):
    counted = (await store.submit(scheduled(Schedule(cron="* * * * *", overlap=Overlap.ALLOW), remaining=2))).job
    once = (await store.submit(scheduled(Schedule(at=minute(1) + 30)))).job
    await run(scheduler, clock, 5)
    assert await made(store, counted) == [1, 2]
    assert await made(store, once) == [1]
    for job in (counted, once):
        assert (await store.read.job(job.number, api=None, tenant=None)).state is State.SUCCEEDED


async def test_the_lag_is_told(store, clock, scheduler):
    await store.submit(scheduled())
    await scheduler.step()
    assert scheduler.lag == 0
    clock.pass_by(67.5)
    await scheduler.step()
    assert scheduler.lag == 7.5


# --- overlap -------------------------------------------------------------------------------------------------------


async def test_skip(store, clock, scheduler, hand):
    job = (await store.submit(scheduled(EVERY_MINUTE))).job
    await run(scheduler, clock, 3)
    assert await fires(store, job) == [(1, Fate.MADE), (2, Fate.SKIPPED), (3, Fate.SKIPPED)]
    (lease,) = await hand.take()
    await hand.end(lease.token)
    await run(scheduler, clock, 1)
    assert await made(store, job) == [1, 4]


async def test_buffer_one(store, clock, scheduler, hand):
    job = (await store.submit(scheduled(Schedule(cron="* * * * *", overlap=Overlap.BUFFER_ONE)))).job
    await run(scheduler, clock, 3)
    assert await fires(store, job) == [(1, Fate.MADE), (3, Fate.SKIPPED)]
    (lease,) = await hand.take()
    await hand.end(lease.token)
    assert await scheduler.step() == 1
    assert await made(store, job) == [1, 2]


async def test_buffer_all(store, clock, scheduler, hand):
    job = (await store.submit(scheduled(Schedule(cron="* * * * *", overlap=Overlap.BUFFER_ALL)))).job
    await run(scheduler, clock, 4)
    for last in range(1, 5):
        assert await made(store, job) == list(range(1, last + 1))
        (lease,) = await hand.take()
        await hand.end(lease.token)
        await scheduler.step()


async def test_cancel_other(store, clock, scheduler, hand):
    job = (await store.submit(scheduled(Schedule(cron="* * * * *", overlap=Overlap.CANCEL_OTHER)))).job
    await run(scheduler, clock, 1)
    (lease,) = await hand.take()
    await run(scheduler, clock, 2)
    assert await states(store, job) == [State.CANCELLING]
    assert (await hand.beat(lease.token)).directives == (Directive.CANCEL,)
    await hand.end(lease.token)
    await scheduler.step()
    assert await fires(store, job) == [(1, Fate.MADE), (2, Fate.SKIPPED), (3, Fate.MADE)]
    assert await states(store, job) == [State.SUCCEEDED, State.PENDING]
    told = await store.read.events(after=0, limit=100, job=lease.job.number)
    assert [(one.actor, one.reason) for one in told if one.type is EventType.CANCEL_REQUESTED] == [(ENGINE, OVERLAPPED)]


async def test_terminate_other(store, clock, scheduler, hand):
    job = (await store.submit(scheduled(Schedule(cron="* * * * *", overlap=Overlap.TERMINATE_OTHER)))).job
    await run(scheduler, clock, 1)
    (lease,) = await hand.take()
    await run(scheduler, clock, 2)
    assert await states(store, job) == [State.CANCELLED, State.CANCELLED, State.PENDING]
    assert (await hand.beat(lease.token)).directives == (Directive.LOST,)
    with pytest.raises(Refused):
        await hand.end(lease.token)
    assert await states(store, job) == [State.CANCELLED, State.CANCELLED, State.PENDING]


# --- times that were missed ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [(CatchUp.ALL, [*range(1, 131)]), (CatchUp.NEWEST, [129, 130]), (CatchUp.NONE, [129, 130])],
)
async def test_an_engine_that_was_down_catches_up(store, clock, scheduler, catch_up, expected):
    job = (await store.submit(scheduled(Schedule(cron="* * * * *", overlap=Overlap.ALLOW, catch_up=catch_up)))).job
    clock.pass_by(130 * 60)
    while await scheduler.step():
        pass
    assert await made(store, job) == expected


@pytest.mark.parametrize(
    ("catch_up", "expected"), [(CatchUp.ALL, [1, 2, 3, 4]), (CatchUp.NEWEST, [3, 4]), (CatchUp.NONE, [4])]
)
async def test_a_schedule_that_was_paused_catches_up(store, clock, scheduler, catch_up, expected):
    job = (await store.submit(scheduled(Schedule(cron="* * * * *", overlap=Overlap.ALLOW, catch_up=catch_up)))).job
    await suspend_job(store, CALL, job.number)
    await run(scheduler, clock, 3)
    assert await made(store, job) == []
    await resume_job(store, CALL, job.number)
    await run(scheduler, clock, 1)
    assert await made(store, job) == expected


# --- mishaps -------------------------------------------------------------------------------------------------------


async def test_one_bad_schedule_keeps_no_other_from_its_time(store, clock):
    async def choosy(_, times):
        for time in times:
            if time.job.display_name == "raises":
                raise RuntimeError("no luck")
            if time.job.display_name == "refuses":
                raise refuse(Reason.DEFINITION_DISABLED, "It is disabled.")
        return [
            Refusal(Reason.IN_USE, "Not now.") if time.job.display_name == "says no" else child(
                time.job, None, priority=2**70 if time.job.display_name == "breaks" else 0
            )
            for time in times
        ]  # fmt: skip

    names = ["fine", "raises", "fine", "refuses", "says no", "breaks", "fine", "alien"]
    jobs = [
        (await store.submit(scheduled(display_name=name, api="sample" if name == "alien" else "jobs"))).job
        for name in names
    ]
    clock.pass_by(60)
    scheduler = Scheduler(store, {"jobs": choosy})
    assert await scheduler.step() == len(names)
    found = [(await store.read.fires(job.number, before=None, limit=9))[0] for job in jobs]
    assert [one.fate for one in found] == [Fate.MADE if name == "fine" else Fate.REFUSED for name in names]
    assert [one.reason for one in found if one.reason] == [
        Reason.INTERNAL, Reason.DEFINITION_DISABLED, Reason.IN_USE, Reason.INTERNAL, Reason.INTERNAL,
    ]  # fmt: skip
    assert "no luck" not in repr(found)
    await run(scheduler, clock, 1)
    assert await made(store, jobs[0]) == [1]
    assert (await fires(store, jobs[1]))[-1] == (2, Fate.REFUSED)


async def test_large_payloads_are_made_a_few_at_a_time(store, clock, monkeypatch):
    sizes = []
    fire = store.fire

    async def watched(commands):
        sizes.append(sum(len(new.subjobs[0].payload) for one in commands for _, new in one.made))
        return await fire(commands)

    async def large(_, times):
        return [child(time.job, time.due_at, subjobs=(NewSubjob(f'"{"x" * 2**20}"'),)) for time in times]

    monkeypatch.setattr(store, "fire", watched)
    catching_up = Schedule(cron="* * * * *", overlap=Overlap.ALLOW, catch_up=CatchUp.ALL)
    job = (await store.submit(scheduled(catching_up))).job
    others = [(await store.submit(scheduled(spec=f'"{"y" * 2**20}"'))).job for _ in range(12)]
    clock.pass_by(40 * 60)
    scheduler = Scheduler(store, {"jobs": large})
    looks = 0
    while await scheduler.step():
        looks += 1
    assert await made(store, job) == list(range(1, 41))
    assert [await made(store, one) for one in others] == [[39]] * 12
    assert max(sizes) <= 4 * 2**20
    assert looks > 2


@pytest.mark.parametrize("crowded", [False, True], ids=["alone", "beside others"])
async def test_more_than_a_window_is_gone_through_in_one_step_and_nothing_is_thought_of_twice(
    store, clock, monkeypatch, crowded
):
    monkeypatch.setattr(schedules, "WINDOW", 7)
    monkeypatch.setattr(schedules, "SMALLEST", 4)
    monkeypatch.setattr(schedules, "LARGEST", 4)
    await store.submit_many([scheduled() for _ in range(7 * schedules.WINDOWS + 3)])
    asked = Counter()

    async def counting(read, times):
        asked.update(time.job.number for time in times)
        return await make(read, times)

    scheduler = Scheduler(store, {"jobs": counting})
    scheduler._crowded = crowded
    clock.pass_by(60)
    first = await scheduler.step()
    assert first >= 7 * schedules.WINDOWS
    assert first + await scheduler.step() == scheduler.made == 7 * schedules.WINDOWS + 3
    assert set(asked.values()) == {1}


async def test_a_clock_set_back_or_ahead_fires_no_time_twice(store, clock, scheduler):
    job = (await store.submit(scheduled(Schedule(cron="* * * * *", overlap=Overlap.ALLOW)))).job
    await run(scheduler, clock, 3)
    clock.set_to(-7200)
    await run(scheduler, clock, 3)
    assert await made(store, job) == [1, 2, 3]
    clock.set_to(7200)
    await run(scheduler, clock, 2)
    assert await made(store, job) == [1, 2, 3, 6, 7, 8]
    clock.set_to(86400)
    await run(scheduler, clock, 1)
    assert (await made(store, job))[:6] == [1, 2, 3, 6, 7, 8]
    assert len(await made(store, job)) == len(set(await made(store, job)))


async def test_a_schedule_that_cannot_be_followed_is_put_off(store, clock, scheduler, monkeypatch):
    bad = (await store.submit(scheduled(Schedule(cron="* * * * *", time_zone="Europe/Vienna")))).job
    good = (await store.submit(scheduled(Schedule(cron="* * * * *", overlap=Overlap.ALLOW)))).job

    def forgetful(schedule, *args, **kwargs):
        if schedule.time_zone != "UTC":
            raise ValueError("is not the name of a time zone")
        return plan(schedule, *args, **kwargs)

    plan = schedule_plans.plan
    monkeypatch.setattr(schedule_plans, "plan", forgetful)
    await run(scheduler, clock, 3)
    assert await made(store, good) == [1, 2, 3]
    assert await fires(store, bad) == [(1, Fate.REFUSED)]
    monkeypatch.undo()
    await run(scheduler, clock, 58)
    assert await made(store, bad) != []


async def test_a_store_that_does_not_answer_is_left_alone(store, clock):
    async def unreachable(_, times):
        raise refuse(Reason.STORE_UNAVAILABLE, "The database cannot be read.")

    job = (await store.submit(scheduled())).job
    clock.pass_by(60)
    with pytest.raises(Refused):
        await Scheduler(store, {"jobs": unreachable}).step()
    assert await fires(store, job) == []
    assert await Scheduler(store, {"jobs": make}).step() == 1
    assert await made(store, job) == [1]


async def test_a_crash_after_the_cancel_loses_nothing(store, clock, scheduler, hand, monkeypatch):
    job = (await store.submit(scheduled(Schedule(cron="* * * * *", overlap=Overlap.TERMINATE_OTHER)))).job
    await run(scheduler, clock, 1)
    clock.pass_by(60)

    async def crash(commands):
        raise refuse(Reason.STORE_UNAVAILABLE, "gone")

    monkeypatch.setattr(store, "fire", crash)
    with pytest.raises(Refused):
        await scheduler.step()
    assert await states(store, job) == [State.CANCELLED]
    monkeypatch.undo()
    await Scheduler(store, {"jobs": make}).step()
    assert await made(store, job) == [1, 2]


# --- several engines -----------------------------------------------------------------------------------------------


async def test_two_engines_on_one_database_make_each_job_once(open_store, clock):
    async with open_store() as one, open_store() as other:
        jobs = [
            (await one.submit(scheduled(Schedule(cron="* * * * *", overlap=Overlap.ALLOW)))).job for _ in range(150)
        ]
        engines = [Scheduler(one, {"jobs": make}), Scheduler(other, {"jobs": make})]

        async def work(engine):
            for _ in range(12):
                await engine.step()

        for _ in range(4):
            clock.pass_by(60)
            await asyncio.gather(*map(work, engines))
        for job in jobs:
            assert await made(one, job) == [1, 2, 3, 4]
        assert sum(engine.made for engine in engines) == 600
        assert await one.read.newest_number() == 750
        everyone = Counter([(child.parent, child.due_at) async for child in all_children(one)])
        assert set(everyone.values()) == {1}
        assert len(everyone) == 600


async def all_children(store):
    for number in range(1, await store.read.newest_number() + 1):
        job = await store.read.job(number, api=None, tenant=None)
        if job.parent is not None:
            yield job
