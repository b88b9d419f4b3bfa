"""What a verb costs depends on what it touches, not on what is stored: counted in steps, not in seconds."""

import re

import pytest

from jobyard_server.domain.catalog import Queue, QueueOrder
from jobyard_server.domain.job import NewSubjob
from jobyard_server.store import fair, lines, rooms
from jobyard_server.store.dialect import SQLITE
from support.storing import Hand, key, new_job, pieces

pytestmark = pytest.mark.only("sqlite")

WAITING = 2_000


async def steps(store, awaitable):
    """Run something and count the instructions that SQLite carries out on the writing connection."""
    count = 0

    def counted():
        nonlocal count
        count += 1

    def listen(handler):
        return lambda tx: tx._unit.sets._connection.set_progress_handler(handler, 10)

    await store.run(listen(counted))
    await awaitable
    await store.run(listen(None))
    return count


async def finish_many(store, count):
    hand = Hand(store, "past")
    await store.submit_many([new_job(key=key(f"past{i}")) for i in range(count)])
    while leases := await hand.take(limit=500):
        for lease in leases:
            await hand.end(lease.token)


async def cycle(store, count=1):
    """Submit, lease and complete jobs, one after the other."""
    hand = Hand(store, "now")
    for i in range(count):
        await store.submit(new_job(key=key(f"now{i}"), subjobs=pieces(2)))
        for lease in await hand.take(limit=2):
            await hand.beat(lease.token)
            await hand.end(lease.token)
    await store.expire_leases()
    await store.wake_due()
    await store.forget_keys()


async def test_cost_does_not_grow_with_what_has_finished(open_store):
    async with open_store() as store:
        await cycle(store)
        young = await steps(store, cycle(store, 5))
        await finish_many(store, WAITING)
        old = await steps(store, cycle(store, 5))
    assert old <= young * 1.3


async def test_a_lease_costs_the_same_however_many_wait(store):
    hand = Hand(store)

    async def take():
        return await hand.take(limit=5)

    await store.submit_many([new_job() for _ in range(20)])
    few = await steps(store, take())
    await store.submit_many([new_job(priority=i % 3) for i in range(WAITING)])
    many = await steps(store, take())
    assert many <= few * 1.3


async def test_fair_turns_cost_the_same_however_many_one_key_has_waiting(store):
    await store.run(lambda tx: tx.put_queue(Queue("default", order=QueueOrder.FAIR)))
    hand = Hand(store)

    async def take():
        return await hand.take(limit=2)

    await store.submit_many([new_job(fair_key=name) for name in "abcdef" for _ in range(3)])
    few = await steps(store, take())
    await store.submit_many([new_job(fair_key="a") for _ in range(WAITING)])
    many = await steps(store, take())
    assert many <= few * 1.3


async def test_a_batch_of_submits_is_a_few_statements(store):
    ran = []

    def trace(on):
        return lambda tx: tx._unit.sets._connection.set_trace_callback(ran.append if on else None)

    await store.run(trace(on=True))
    group = [new_job(key=key(f"k{i}"), external_id=f"x{i}", subjobs=(NewSubjob(), NewSubjob())) for i in range(100)]
    await store.submit_many(group)
    await store.run(trace(on=False))
    own = [one for one in ran if not re.match(r"BEGIN|COMMIT|SAVEPOINT|RELEASE|PRAGMA", one)]
    assert len(own) <= 8, [one[:60] for one in own]


@pytest.mark.parametrize(
    ("sql", "parameters", "index"),
    [
        (lines._OF_ANY.format(turns=SQLITE.turns), (0, "q", 5), "ix_subjobs_ready "),
        (lines._OF_TENANT.format(turns=SQLITE.turns), (0, "q", "acme", 5), "ix_subjobs_ready_tenant "),
        (rooms._BUSY, (0, "q", 5), "ix_subjobs_running "),
        (rooms._BUSY_TENANT, (0, 0, "q", "acme", 5), "ix_subjobs_running "),
        (rooms._TENANTS, ("q", "acme", "q", 5), "ix_subjobs_ready_tenant "),
        (fair._LEVEL, ("q", 5), "ix_subjobs_ready"),
        (fair._KEYS, ("q", 1, "k", "q", 1, 5), "ix_subjobs_ready_fair "),
        ((fair._OF_KEY + fair._LIMIT).format(turns=SQLITE.turns), ("q", 1, "k", 5), "ix_subjobs_ready_fair "),
    ],
)
async def test_leasing_walks_indexes_of_what_is_ready(store, sql, parameters, index):
    plan = await store.run(lambda tx: tx._unit.sets.all(f"EXPLAIN QUERY PLAN {sql}", parameters))
    told = [line[3] + " " for line in plan]
    looked_up = [line for line in told if "subjobs" in line or " s " in line]
    assert looked_up
    assert all(index in line for line in looked_up), told
    assert not any("TEMP B-TREE" in line or line.startswith("SCAN subjobs") for line in told), told
