"""The clock on the wall may be set: leases live as long as they were given, no shorter and no longer."""

import pytest

from jobyard_server.domain.state import State
from jobyard_server.store.store import Store
from support.storing import FakeClock, Hand, new_job


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def at(url, clock):
    """Opens a store whose time the test tells."""
    return lambda: Store(url, clock=clock)


async def held(store):
    await store.submit(new_job())
    hand = Hand(store, seconds=30.0)
    (lease,) = await hand.take()
    return hand, lease


@pytest.mark.parametrize("jump", [3600.0, -7200.0, 86_400.0])
async def test_a_lease_neither_ends_early_nor_lives_on(at, clock, jump):
    async with at() as store:
        hand, lease = await held(store)
        clock.set_to(jump)
        clock.pass_by(29.0)
        assert await store.expire_leases() == 0
        assert (await hand.beat(lease.token)).directives[0].name == "GO_ON"
        clock.pass_by(29.0)
        assert await store.expire_leases() == 0
        clock.pass_by(2.0)
        assert await store.expire_leases() > 0


async def test_two_processes_shift_leases_once(at, clock):
    async with at() as one, at() as other:
        await held(one)
        clock.set_to(3600.0)
        clock.pass_by(20.0)
        assert await one.expire_leases() == 0
        assert await other.expire_leases() == 0
        clock.pass_by(11.0)
        assert await other.expire_leases() > 0


async def test_a_clock_set_while_nobody_ran_is_noticed(url):
    before = FakeClock()
    async with Store(url, clock=before) as store:
        await held(store)
    after = FakeClock(before.wall_now - 3_600_000_000, before.steady_now + 10_000_000)
    async with Store(url, clock=after) as store:
        after.pass_by(31.0)
        assert await store.expire_leases() > 0
        assert (await store.read.job(1, api=None, tenant=None)).state is State.PENDING


async def test_slewing_is_no_jump(at, clock):
    async with at() as store:
        await held(store)
        for _ in range(31):
            clock.pass_by(1.0)
            clock.set_to(0.001)
            await store.expire_leases()
        assert (await store.read.job(1, api=None, tenant=None)).state is State.PENDING


async def test_an_unreachable_database_expires_nobody(at, clock):
    async with at() as store:
        hand, lease = await held(store)
        clock.pass_by(300.0)
        store._writer._reachable_since = clock.steady()
        assert await store.expire_leases() == 0
        clock.pass_by(29.0)
        assert (await hand.beat(lease.token)).directives[0].name == "GO_ON"
