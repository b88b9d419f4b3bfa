"""How long work waits for workers, queue by queue."""

import asyncio

from support.storing import new_job


async def test_the_next_of_each_queue_tells_how_long_it_has_waited(store, hand):
    assert await store.queue_waits() == {}
    await store.submit(new_job(queue="a"))
    await asyncio.sleep(0.2)
    for _ in range(3):
        await store.submit(new_job(queue="a"))
    await store.submit(new_job(queue="b"))
    waits = await store.queue_waits()
    assert waits.keys() == {"a", "b"}
    assert waits["a"] >= waits["b"] + 0.2
    # The oldest of the queue is taken, so that the next one counts, which came later.
    await hand.take("a")
    later = await store.queue_waits()
    assert later["a"] < waits["a"]


async def test_what_is_ahead_counts_not_what_is_oldest(store):
    await store.submit(new_job(queue="a", priority=0))
    await asyncio.sleep(0.1)
    await store.submit(new_job(queue="a", priority=9))
    assert (await store.queue_waits())["a"] < 0.1


async def test_a_queue_without_work_is_not_told_of(store, hand):
    await store.submit(new_job(queue="a"))
    await hand.take("a")
    assert await store.queue_waits() == {}
