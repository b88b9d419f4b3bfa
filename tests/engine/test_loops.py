"""What time does to jobs on a real store: the loops of the engine, step by step and running."""

import asyncio

import pytest

from jobyard_server.domain.event import EventType
from jobyard_server.domain.job import Outcome, RetryPolicy
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.state import State
from jobyard_server.engine.loops import Grace, Periods, loops
from jobyard_server.engine.supervisor import Supervisor
from jobyard_server.store.store import Store
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.cancel_job import cancel_job
from jobyard_server.usecases.ports import Directive
from support.storing import FakeClock, Hand, new_job, pieces

CALL = Call(Principal("ann", "acme"), "jobs", every_api=True)
KEEP = 3600.0


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
async def store(url, clock):
    async with Store(url, clock=clock, keep_seconds=KEEP) as store:
        yield store


async def running_job(store, hand, **changes):
    job = (await store.submit(new_job(**changes))).job
    (lease,) = await hand.take()
    return job, lease


async def state_of(store, job):
    found = await store.read.job(job.number, api=None, tenant=None)
    return None if found is None else found.state


async def until(store, job, state):
    async with asyncio.timeout(60):
        while await state_of(store, job) is not state:
            await asyncio.sleep(0.02)


async def events_of(store, job):
    return await store.read.events(after=0, limit=100, job=job.number)


async def test_cancelled_work_that_does_not_stop_is_taken_away(store, clock):
    hand = Hand(store)
    job, lease = await running_job(store, hand)
    await cancel_job(store, CALL, job.number)
    assert await state_of(store, job) is State.CANCELLING
    assert (await hand.beat(lease.token)).directives == (Directive.CANCEL,)
    clock.pass_by(9)
    # Words about progress do not win it more time.
    await hand.beat(lease.token, messages={lease.token: "nearly done"})
    assert await store.force_cancels(10) == 0
    clock.pass_by(1)
    assert await store.force_cancels(10) == 1
    assert await store.force_cancels(10) == 0
    assert await state_of(store, job) is State.CANCELLED
    assert (await hand.beat(lease.token)).directives == (Directive.LOST,)
    (attempt,) = await store.read.attempts(lease.subjob.id)
    assert (attempt.outcome, attempt.reason) == (Outcome.FENCED, "CANCEL_FORCED")
    told = [(event.type, event.subjob_state, event.reason) for event in await events_of(store, job)][-2:]
    assert told == [
        (EventType.ATTEMPT_ENDED, State.CANCELLED, "CANCEL_FORCED"),
        (EventType.JOB_CHANGED, None, "CANCELLED_BY_USER"),
    ]


async def test_what_stops_in_time_is_left_alone(store, clock):
    hand = Hand(store)
    job, lease = await running_job(store, hand)
    other, _ = await running_job(store, hand)
    await cancel_job(store, CALL, job.number)
    await hand.end(lease.token, Outcome.CANCELLED)
    clock.pass_by(60)
    assert await store.force_cancels(10) == 0
    assert (await state_of(store, job), await state_of(store, other)) == (State.CANCELLED, State.RUNNING)


async def test_a_job_is_kept_for_its_time_and_then_removed(store, clock):
    hand = Hand(store)
    jobs = []
    for seconds in (None, 60.0, 0.0):
        job, lease = await running_job(store, hand, expires_after=seconds)
        await hand.end(lease.token)
        jobs.append(job)
    usual, short, none = jobs
    assert await store.forget_jobs() == 1
    assert await state_of(store, none) is None
    clock.pass_by(60)
    assert await store.forget_jobs() == 1
    assert (await state_of(store, short), await state_of(store, usual)) == (None, State.SUCCEEDED)
    clock.pass_by(KEEP)
    assert await store.forget_jobs() == 1
    assert await state_of(store, usual) is None
    assert await store.forget_jobs() == 0
    last = (await events_of(store, usual))[-1]
    assert (last.type, last.state, last.reason) == (EventType.JOB_DELETED, State.SUCCEEDED, "EXPIRED")


async def test_a_job_that_has_not_ended_is_never_removed(store, clock):
    job = (await store.submit(new_job(expires_after=0.0))).job
    clock.pass_by(10 * KEEP)
    assert await store.forget_jobs() == 0
    assert await state_of(store, job) is State.PENDING


async def test_many_expired_jobs_are_removed_in_steps(store, clock):
    hand = Hand(store)
    await store.submit_many([new_job(expires_after=0.0) for _ in range(70)])
    for lease in await hand.take(limit=70):
        await hand.end(lease.token)
    assert [await store.forget_jobs() for _ in range(3)] == [50, 20, 0]


async def test_the_engine_does_all_of_it_by_itself(store, clock):
    hand = Hand(store, seconds=5.0)
    retried = RetryPolicy(max_attempts=2, initial_backoff=20.0)
    failed, lease = await running_job(store, hand, retry=retried)
    await hand.end(lease.token, Outcome.FAILED, reason="NO_LUCK")
    lost, _ = await running_job(store, hand)
    stubborn, kept = await running_job(store, Hand(store, "s2", seconds=3600.0))
    await cancel_job(store, CALL, stubborn.number)
    done = (await store.submit(new_job(queue="none", subjobs=pieces(0), expires_after=30.0))).job
    supervisor = Supervisor(
        loops(
            store, Periods(leases=0.02, wakes=0.02, cancels=0.02, limits=0.02, retention=0.02), Grace(10.0, 10.0), KEEP
        )
    )
    supervisor.start()
    clock.pass_by(31)
    await until(store, stubborn, State.CANCELLED)
    await until(store, done, None)
    await until(store, lost, State.PENDING)
    taken = []
    async with asyncio.timeout(60):
        while len(taken) < 2:
            taken += [lease.job.number for lease in await hand.take(limit=2)]
            await asyncio.sleep(0.02)
    assert sorted(taken) == sorted([failed.number, lost.number])
    assert kept.job.number not in taken
    assert supervisor.troubled() == {}
    await supervisor.stop()
