"""The database goes away in every way it can: what was acknowledged stays, what was not is whole or not there."""

import asyncio
import os
import random
import time

import pytest

from jobyard_server.domain.reason import Reason, Refused
from jobyard_server.store import wakeups
from jobyard_server.store.store import Store
from support.cutting import Proxy
from support.databases import rows_of
from support.storing import Hand, key, new_job, pieces

AT_ONCE = 500
"""Fewer than a store lets wait."""
LONG = bool(os.environ.get("LONG"))
SECONDS = 120 if LONG else 12
CLIENTS = 16
CONNECTIONS = 7
"""Of a replica: its readers, its writer, what listens, and one being made anew."""


@pytest.fixture
def proxied(durable, shared):
    """A proxy, and the URL of the shared database behind it."""
    proxy = Proxy(durable.port)
    yield proxy, shared.replace(f":{durable.port}/", f":{proxy.port}/")
    proxy.close()


async def test_a_commit_whose_answer_is_lost_was_made(proxied, shared):
    proxy, url = proxied
    async with Store(url) as store:
        await store.submit(new_job())
        proxy.cut(b"COMMIT", after=True)
        submitted = await store.submit(new_job(key=key("once"), subjobs=pieces(2)))
        assert proxy.cuts == 1
        again = await store.submit(new_job(key=key("once"), subjobs=pieces(2)))
        assert (again.job.number, again.replayed) == (submitted.job.number, True)
    assert rows_of(shared, "SELECT count(*) FROM jobs") == [(2,)]


async def test_a_commit_that_never_arrived_was_not_made(proxied, shared):
    proxy, url = proxied
    async with Store(url) as store:
        await store.submit(new_job())
        proxy.cut(b"COMMIT", after=False)
        with pytest.raises(Refused) as refused:
            await store.submit(new_job(key=key("once")))
        assert refused.value.refusal.reason is Reason.STORE_UNAVAILABLE
        assert refused.value.refusal.retry_after
        assert store.reachable_for == 0
        again = await store.submit(new_job(key=key("once")))
        assert not again.replayed
        assert store.reachable_for > 0
    assert rows_of(shared, "SELECT count(*) FROM jobs") == [(2,)]


async def test_a_connection_lost_in_the_middle_keeps_nothing_half_done(proxied, shared):
    proxy, url = proxied
    async with Store(url) as store:
        await store.submit(new_job())
        for word in (b"INSERT INTO jobs", b"INSERT INTO subjobs", b"INSERT INTO events"):
            proxy.cut(word, after=True)
            with pytest.raises(Refused) as refused:
                await store.submit(new_job(key=key(word.decode())))
            assert refused.value.refusal.reason is Reason.STORE_UNAVAILABLE
        assert proxy.cuts == 3
        assert (await store.read.job(1, api=None, tenant=None)).number == 1
    assert rows_of(shared, "SELECT count(*) FROM jobs") == [(1,)]


async def use(store, told, trouble, until):
    """Submit, lease and complete until the time is over; what was acknowledged, and what else was said."""
    hand = Hand(store, f"user-{random.getrandbits(32):08x}")
    while time.monotonic() < until:
        name = f"{random.getrandbits(64):x}"
        try:
            told[name] = (await store.submit(new_job(key=key(name)))).job.number
            for lease in await hand.take(limit=2):
                await hand.end(lease.token)
        except Refused as refused:
            trouble.add(refused.refusal.reason)
            await asyncio.sleep(0.05)


async def check_acknowledged(store, told):
    """Everything acknowledged is there, under the number that was told."""
    names, answers = list(told), []
    for first in range(0, len(names), AT_ONCE):
        again = (new_job(key=key(name)) for name in names[first : first + AT_ONCE])
        answers += await asyncio.gather(*map(store.submit, again))
    assert [one.replayed for one in answers] == [True] * len(told)
    assert [one.job.number for one in answers] == list(told.values())


async def serving(store):
    """Seconds until a write is accepted."""
    began = time.monotonic()
    while True:
        try:
            await store.submit(new_job())
        except Refused:
            await asyncio.sleep(0.05)
        else:
            return time.monotonic() - began


@pytest.mark.timeout(300)
async def test_a_database_that_crashes_again_and_again_loses_nothing(durable, shared, replicas, monkeypatch):
    # Nobody looks by himself: who waits is told.
    monkeypatch.setattr(wakeups, "POLL_SECONDS", 600.0)
    told, trouble = {}, set()
    # What a lost lease or a lost session answers is no trouble of the database.
    expected = {Reason.STORE_UNAVAILABLE, Reason.LEASE_LOST, Reason.OVERLOADED}
    async with replicas(shared, 2) as stores:
        until = time.monotonic() + SECONDS
        using = [asyncio.create_task(use(stores[n % 2], told, trouble, until)) for n in range(CLIENTS)]
        while time.monotonic() < until - 4:
            await asyncio.sleep(random.uniform(2, 4))
            await asyncio.to_thread(durable.restart, "immediate")
            assert await serving(stores[0]) < 60
            await asyncio.sleep(random.uniform(0.5, 1))
            database = shared.rpartition("/")[2]
            own = f"FROM pg_stat_activity WHERE datname = '{database}' AND pid <> pg_backend_pid()"
            ((connections,),) = durable.execute(f"SELECT count(*) {own}")
            assert connections <= 2 * CONNECTIONS
            durable.execute(f"SELECT pg_terminate_backend(pid) {own} AND random() < 0.5")
        await asyncio.gather(*using)
        assert len(told) > CLIENTS
        assert trouble <= expected, trouble
        await check_acknowledged(stores[1], told)
        # Who listens is told again what others write.
        await asyncio.sleep(1.5)
        waiting = asyncio.create_task(stores[1].changed(600))
        await asyncio.sleep(0.1)
        await stores[0].submit(new_job())
        await asyncio.wait_for(waiting, 60)


async def test_a_database_that_is_away_is_said_to_be_away_and_comes_back(durable, shared, replicas):
    async with replicas(shared, 1) as (store,):
        submitted = await store.submit(new_job())
        await asyncio.to_thread(durable.stop, "fast")
        try:
            began = time.monotonic()
            for asked in (store.submit(new_job()), store.read.job(1, api=None, tenant=None), store.expire_leases()):
                with pytest.raises(Refused) as refused:
                    await asked
                assert refused.value.refusal.reason is Reason.STORE_UNAVAILABLE
                assert refused.value.refusal.retry_after
            assert time.monotonic() - began < 60
            assert store.reachable_for == 0
        finally:
            await asyncio.to_thread(durable.start)
        assert await serving(store) < 60
        assert (await store.read.job(1, api=None, tenant=None)).uid == submitted.job.uid
        assert store.reachable_for > 0
