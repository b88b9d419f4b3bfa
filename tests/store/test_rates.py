"""Caps and rates: how many subjobs of a queue, and of each tenant on it, are handed out."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest
import pytest_asyncio

from jobyard_server.domain.catalog import Queue, QueueOrder, Rate
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.state import State
from jobyard_server.store.store import Store
from jobyard_server.usecases.acquire import WorkRequest, acquire
from jobyard_server.usecases.call import ALL_TENANTS, Call
from jobyard_server.usecases.ports import Acquire
from support.storing import FakeClock, Hand, new_job

EVERYBODY = Call(Principal("worker", "ops", permissions=frozenset({ALL_TENANTS})), "jobs", every_api=True)


@pytest.fixture
def clock():
    return FakeClock()


@pytest_asyncio.fixture
async def store(url, clock):
    async with Store(url, clock=clock) as opened:
        yield opened


async def put(store, **changes):
    await store.run(lambda tx: tx.put_queue(replace(Queue("q"), **changes)))


async def submit(store, count, tenant="acme", **changes):
    jobs = [new_job(tenant=tenant, queue="q", **changes) for _ in range(count)]
    return [one.job.number for one in await store.submit_many(jobs)]


async def take(hand, limit=100, tenant=None):
    return [(lease.job.tenant, lease.job.number) for lease in await hand.take("q", limit=limit, tenant=tenant)]


async def again_in(store):
    command = Acquire("s1", "w", "worker", None, ("q",), 1, 30.0)
    return (await store.acquire(command)).again_in


# --- caps by tenant ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(QueueOrder))
async def test_no_tenant_runs_more_than_its_share_and_none_holds_up_the_others(store, hand, order):
    await put(store, max_running_per_tenant=3, order=order)
    for tenant, count in (("a", 50), ("b", 2), ("c", 5)):
        await submit(store, count, tenant, fair_key=tenant)
    taken = await take(hand)
    assert Counter(tenant for tenant, _ in taken) == {"a": 3, "b": 2, "c": 3}
    assert await take(hand) == []


async def test_a_place_that_gets_free_is_its_tenants(store, hand):
    await put(store, max_running_per_tenant=1)
    await submit(store, 3, "a")
    await submit(store, 3, "b")
    leases = await hand.take("q", limit=10)
    (mine,) = [lease for lease in leases if lease.job.tenant == "b"]
    ready = asyncio.ensure_future(store.ready(["q"], 600.0))
    await hand.end(mine.token)
    await asyncio.wait_for(ready, 60)
    assert [tenant for tenant, _ in await take(hand)] == ["b"]


async def test_the_order_of_the_queue_holds_among_those_with_room(store, hand):
    await put(store, max_running_per_tenant=2)
    first = await submit(store, 2, "b")
    second = await submit(store, 2, "a")
    (urgent,) = await submit(store, 1, "a", priority=9)
    assert [number for _, number in await take(hand)] == [urgent, *first, second[0]]


async def test_both_caps_hold(store, hand):
    await put(store, max_running=4, max_running_per_tenant=3)
    await submit(store, 9, "a")
    await submit(store, 9, "b")
    assert Counter(tenant for tenant, _ in await take(hand)) == {"a": 3, "b": 1}


async def test_a_worker_of_one_tenant_gets_only_its_share(store, hand):
    await put(store, max_running_per_tenant=2)
    await submit(store, 5, "a")
    await submit(store, 5, "b")
    assert Counter(tenant for tenant, _ in await take(hand, tenant="b")) == {"b": 2}
    assert await take(hand, tenant="c") == []


async def test_many_askers_at_once_share_the_room(store):
    await put(store, max_running_per_tenant=5)
    for tenant in "abcd":
        await submit(store, 20, tenant)
    hands = [Hand(store, f"s{i}") for i in range(16)]
    taken = await asyncio.gather(*(take(hand, limit=3, tenant=(None, "a")[i % 2]) for i, hand in enumerate(hands)))
    assert Counter(tenant for one in taken for tenant, _ in one) == {"a": 5, "b": 5, "c": 5, "d": 5}


async def test_tenants_beyond_one_look_have_their_turn(store, hand, monkeypatch):
    monkeypatch.setattr("jobyard_server.store.rooms.MAX_TENANTS", 3)
    await put(store, max_running_per_tenant=1)
    for place in range(8):
        await submit(store, 2, f"t{place}")
    seen = set()
    for _ in range(8):
        leases = await hand.take("q", limit=3)
        seen |= {lease.job.tenant for lease in leases}
        for lease in leases:
            await hand.end(lease.token)
    assert seen == {f"t{place}" for place in range(8)}


async def test_what_is_being_cancelled_still_takes_its_place(store, hand):
    await put(store, max_running_per_tenant=1)
    await submit(store, 2)
    (lease,) = await hand.take("q", limit=5)

    def ask(tx):
        job = tx.job(lease.job.number, api=None, tenant=None)
        (subjob,) = tx.subjobs(job.number)
        tx.change_subjob(subjob, State.CANCELLING, actor="USER")

    await store.run(ask)
    assert await take(hand) == []


# --- rates ---------------------------------------------------------------------------------------------------------


async def test_a_rate_lets_a_burst_out_and_then_one_after_the_other(store, hand, clock):
    await put(store, rate=Rate(2.0, 5))
    await submit(store, 30)
    assert len(await take(hand)) == 5
    assert await again_in(store) == 0.5
    clock.pass_by(0.49)
    assert await take(hand) == []
    clock.pass_by(0.01)
    assert len(await take(hand)) == 1
    clock.pass_by(1.0)
    assert len(await take(hand)) == 2
    clock.pass_by(1000)
    assert len(await take(hand)) == 5


@pytest.mark.parametrize(("rate", "seconds"), [(Rate(0.5), 60), (Rate(3.0, 2), 60), (Rate(7.0, 7), 20)])
async def test_over_time_a_rate_is_kept_however_it_is_asked(store, hand, clock, rate, seconds):
    await put(store, rate=rate)
    await submit(store, 400)
    got = 0
    for tick in range(seconds * 10):
        got += len(await take(hand, limit=1 + tick % 3))
        clock.pass_by(0.1)
    assert rate.per_second * seconds - 1 <= got <= rate.per_second * seconds + rate.burst


async def test_each_tenant_has_its_own_rate(store, hand, clock):
    await put(store, tenant_rate=Rate(1.0, 2), rate=Rate(100.0, 5))
    for tenant in "abc":
        await submit(store, 9, tenant)
    assert Counter(tenant for tenant, _ in await take(hand)) == {"a": 2, "b": 2, "c": 1}
    assert await take(hand, tenant="a") == []
    clock.pass_by(1.0)
    assert Counter(tenant for tenant, _ in await take(hand)) == {"a": 1, "b": 1, "c": 2}


async def test_a_clock_that_is_set_back_blocks_no_queue(store, hand, clock):
    await put(store, rate=Rate(1.0, 1))
    await submit(store, 5)
    assert len(await take(hand)) == 1
    clock.set_to(-86_400)
    clock.pass_by(1.0)
    assert len(await take(hand)) == 1


async def test_a_waiting_worker_is_served_when_the_rate_allows(url):
    async with Store(url) as store:
        await put(store, rate=Rate(5.0, 1))
        await submit(store, 3)
        request = WorkRequest("session1", "w", ("q",), wait_seconds=60.0)
        clock = asyncio.get_running_loop().time
        began = clock()
        for _ in range(3):
            assert len((await acquire(store, EVERYBODY, request)).leases) == 1
        # A rate that says when it has room again is not asked every now and then.
        assert 0.35 <= clock() - began < 50.0


async def test_queues_without_limits_write_nothing_about_them(store, hand):
    await put(store, priority=7)
    await submit(store, 3)
    await take(hand)
    assert await store.run(lambda tx: tx._unit.sets.all("SELECT count(*) FROM lanes")) == [(0,)]


async def test_a_queue_that_is_put_away_forgets_what_was_used(store, hand):
    await put(store, rate=Rate(0.001, 1))
    await submit(store, 2)
    assert len(await take(hand)) == 1
    await store.run(lambda tx: tx.delete_queue("q"))
    await put(store, rate=Rate(0.001, 1))
    assert len(await take(hand)) == 1
