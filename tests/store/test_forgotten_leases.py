"""A lease whose worker lives but never learned of it is taken back: the answer that gave it got lost."""

import asyncio

from jobyard_server.domain.job import Outcome
from jobyard_server.domain.state import State
from jobyard_server.usecases.ports import Directive
from support.storing import Hand, new_job

LIFE = 0.3


async def test_a_lease_that_no_heartbeat_names_for_the_life_of_a_session_is_taken_back(store):
    hand = Hand(store, seconds=LIFE)
    for _ in range(2):
        await store.submit(new_job())
    known, unknown = await hand.take(limit=2)
    for _ in range(4):
        beaten = await hand.beat(known.token)
        assert beaten.directives == (Directive.GO_ON,)
        await asyncio.sleep(LIFE / 3)
    await hand.beat(known.token)
    (attempt,) = await store.read.attempts(unknown.subjob.id)
    assert attempt.outcome is Outcome.LOST
    assert (await store.read.job(unknown.job.number, api=None, tenant=None)).state is State.PENDING
    assert (await store.read.job(known.job.number, api=None, tenant=None)).state is State.RUNNING
    (again,) = await Hand(store, "s2").take()
    assert again.subjob.id == unknown.subjob.id


async def test_a_young_lease_is_left_alone(store):
    hand = Hand(store, seconds=30.0)
    for _ in range(2):
        await store.submit(new_job())
    known, unknown = await hand.take(limit=2)
    await hand.beat(known.token)
    assert (await hand.beat(known.token, unknown.token)).directives == (Directive.GO_ON, Directive.GO_ON)
