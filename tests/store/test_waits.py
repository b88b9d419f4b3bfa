"""How long work waits for workers, queue by queue."""

import asyncio

import pytest

from support.storing import new_job


def apart(earlier, later):
    """Seconds between two submits."""
    return (later.created_at - earlier.created_at) / 1_000_000


async def test_the_next_of_each_queue_tells_how_long_it_has_waited(store, hand):
    assert await store.queue_waits() == {}
    first = (await store.submit(new_job(queue="a"))).job
    await asyncio.sleep(0.05)
    second = (await store.submit(new_job(queue="a"))).job
    await store.submit_many([new_job(queue="a") for _ in range(2)])
    other = (await store.submit(new_job(queue="b"))).job
    waits = await store.queue_waits()
    assert waits.keys() == {"a", "b"}
    assert waits["a"] - waits["b"] == pytest.approx(apart(first, other), abs=0.001)
    # The oldest of the queue is taken, so that the next one counts, which came later.
    await hand.take("a")
    later = await store.queue_waits()
    assert later["a"] - later["b"] == pytest.approx(apart(second, other), abs=0.001)


async def test_what_is_ahead_counts_not_what_is_oldest(store):
    await store.submit(new_job(queue="a", priority=0))
    await asyncio.sleep(0.05)
    ahead = (await store.submit(new_job(queue="a", priority=9))).job
    other = (await store.submit(new_job(queue="b"))).job
    waits = await store.queue_waits()
    assert waits["a"] - waits["b"] == pytest.approx(apart(ahead, other), abs=0.001)


async def test_a_queue_without_work_is_not_told_of(store, hand):
    await store.submit(new_job(queue="a"))
    await hand.take("a")
    assert await store.queue_waits() == {}
