"""Expiry: who is not heard of loses what it holds, and nobody else does."""

import asyncio

from jobyard_server.domain.job import LeaseLoss, Outcome
from jobyard_server.domain.reason import Reason
from jobyard_server.domain.state import State
from jobyard_server.store.expiry import MAX_LOSSES
from support.storing import Hand, key, new_job, pieces, refusal

LIFE = 0.2


async def lapse(store, seconds=LIFE + 0.05):
    await asyncio.sleep(seconds)
    return await store.expire_leases()


async def test_a_lost_subjob_goes_to_another_worker(store):
    frozen, other = Hand(store, "frozen", seconds=LIFE), Hand(store, "other")
    await store.submit(new_job())
    (lease,) = await frozen.take()
    assert await lapse(store) > 0
    job = await store.read.job(1, api=None, tenant=None)
    assert job.state is State.PENDING
    assert (await refusal(frozen.beat(lease.token))).reason is Reason.SESSION_UNKNOWN
    (again,) = await other.take()
    assert again.attempt == 2
    assert (await refusal(frozen.end(lease.token))).reason is Reason.LEASE_LOST
    assert (await other.end(again.token)).job_state is State.SUCCEEDED
    assert (await refusal(frozen.end(lease.token, Outcome.FAILED))).reason is Reason.LEASE_LOST
    outcomes = [attempt.outcome for attempt in await store.read.attempts(again.subjob.id)]
    assert outcomes == [Outcome.LOST, Outcome.SUCCEEDED]


async def test_a_worker_that_comes_back_is_told_what_it_lost(store):
    frozen = Hand(store, "frozen", seconds=LIFE)
    await store.submit_many([new_job(), new_job()])
    (lost,) = await frozen.take()
    await lapse(store)
    (kept,) = await frozen.take(limit=1)
    assert kept.attempt == 2
    assert [one.name for one in (await frozen.beat(lost.token, kept.token)).directives] == ["LOST", "GO_ON"]


async def test_who_is_heard_of_keeps_everything(store):
    hand, patient = Hand(store, seconds=LIFE), Hand(store, seconds=3600.0)
    await store.submit(new_job())
    (lease,) = await hand.take()
    # What a beat says counts, not what was said when the lease was given.
    await patient.beat(lease.token)
    await asyncio.sleep(LIFE + 0.05)
    assert await store.expire_leases() == 0
    assert (await hand.end(lease.token)).job_state is State.SUCCEEDED


async def test_time_out_where_the_job_says_so(store):
    await store.submit(new_job(on_lease_loss=LeaseLoss.TIME_OUT))
    await Hand(store, seconds=LIFE).take()
    await lapse(store)
    job = await store.read.job(1, api=None, tenant=None)
    assert (job.state, job.reason) == (State.FAILED, "TIMED_OUT")


async def test_what_takes_every_worker_with_it_is_given_up(store):
    await store.submit(new_job())
    for turn in range(MAX_LOSSES):
        (lease,) = await Hand(store, f"s{turn}", seconds=0.01).take()
        assert lease.attempt == turn + 1
        assert await lapse(store, 0.02) > 0
    job = await store.read.job(1, api=None, tenant=None)
    assert (job.state, job.reason) == (State.FAILED, "LEASE_LOST")


async def test_sessions_that_hold_nothing_are_forgotten(store):
    hand = Hand(store, seconds=LIFE)
    await store.submit(new_job())
    (lease,) = await hand.take()
    await hand.end(lease.token)
    assert await lapse(store) == 1
    assert await store.expire_leases() == 0


async def test_leases_survive_a_short_restart(open_store):
    async with open_store() as store:
        await store.submit(new_job())
        (lease,) = await Hand(store).take()
        # Its life is over by the clock.
        moved = "UPDATE sessions SET seen_at = seen_at - ?, expires_at = expires_at - ?"
        await store.run(lambda tx: tx._unit.sets.run(moved, (60_000_000, 60_000_000)))
    async with open_store() as store:
        hand = Hand(store)
        # It could not be heard of while nobody listened.
        assert await store.expire_leases() == 0
        assert (await hand.beat(lease.token)).directives[0].name == "GO_ON"
        assert (await hand.end(lease.token)).job_state is State.SUCCEEDED


async def test_leases_end_when_nobody_comes_back_after_a_restart(open_store):
    async with open_store() as store:
        await store.submit(new_job())
        await Hand(store, seconds=LIFE).take()
    async with open_store() as store:
        assert await lapse(store) > 0
        (lease,) = await Hand(store, "other").take()
        assert (lease.attempt, lease.subjob.attempts) == (2, 1)


async def test_a_thousand_lost_leases_are_taken_back_in_steps(store):
    await store.submit(new_job(subjobs=pieces(1200)))
    await Hand(store, seconds=LIFE).take(limit=1200)
    steps = [await lapse(store)]
    while steps[-1]:
        steps.append(await store.expire_leases())
    assert len(steps) > 2
    assert max(steps) <= 501
    job = await store.read.job(1, api=None, tenant=None)
    assert (job.state, job.counters.pending) == (State.PENDING, 1200)


async def test_keys_are_forgotten_when_their_time_is_over(store):
    await store.submit_many([new_job(key=key(f"k{i}", lifetime=0.01)) for i in range(3)])
    await store.submit(new_job(key=key("long")))
    await asyncio.sleep(0.02)
    assert await store.forget_keys() == 3
    assert await store.forget_keys() == 0
    assert (await store.submit(new_job(key=key("long")))).replayed
