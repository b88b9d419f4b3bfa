"""Acquire: what is ready goes out once, in the order of its queues, within their limits."""

import asyncio
from datetime import UTC, datetime

import pytest

from jobyard_server.domain.catalog import Queue, QueueOrder, QueueStatus, TimeSlot
from jobyard_server.domain.event import EventType
from jobyard_server.domain.job import NewSubjob, Outcome
from jobyard_server.domain.state import State
from jobyard_server.store import fair
from support.storing import Hand, new_job, pieces


async def put(store, **queue):
    await store.run(lambda tx: tx.put_queue(Queue(**queue)))


async def submit(store, *names, **changes):
    for name in names:
        await store.submit(new_job(display_name=name, **changes))


def taken(leases):
    return [lease.job.display_name for lease in leases]


async def test_a_lease_shows_the_job_as_it_runs(store, hand):
    number = (await store.submit(new_job(subjobs=pieces(2)))).job.number
    (lease,) = await hand.take()
    assert lease.job == await store.read.job(number, api=None, tenant=None)
    assert (lease.job.state, lease.job.counters.running, lease.job.counters.pending) == (State.RUNNING, 1, 1)
    assert lease.subjob == (await store.read.subjobs(number))[0]
    assert (lease.subjob.state, lease.attempt, lease.subjob.attempt_no) == (State.RUNNING, 1, 1)
    (attempt,) = await store.read.attempts(lease.subjob.id)
    assert (attempt.number, attempt.worker, attempt.outcome) == (1, "s1@host", Outcome.OPEN)
    events = await store.read.events(after=0, limit=10)
    assert [(event.type, event.state, event.actor, event.request_id) for event in events] == [
        (EventType.JOB_SUBMITTED, State.PENDING, "ann", ""),
        (EventType.ATTEMPT_STARTED, State.PENDING, "worker", "r2"),
        (EventType.JOB_CHANGED, State.RUNNING, "worker", "r2"),
    ]


async def test_nothing_ready_gives_nothing_and_writes_nothing(store, hand):
    assert await hand.take("default", "other") == ()
    assert (await store.read.event_bounds())[1] == 0


async def test_nothing_goes_out_twice(store):
    await store.submit_many([new_job(subjobs=pieces(5)) for _ in range(40)])
    hands = [Hand(store, f"s{i}") for i in range(8)]
    seen = []
    while batch := await asyncio.gather(*(one.take(limit=7) for one in hands)):
        leases = [lease for own in batch for lease in own]
        if not leases:
            break
        seen += [lease.subjob.id for lease in leases]
    assert len(seen) == len(set(seen)) == 200


async def test_first_come_first_served_over_all_queues(store, hand):
    await submit(store, "1", queue="a")
    await submit(store, "2", queue="b")
    await submit(store, "3", queue="a")
    assert taken(await hand.take("b", "a", limit=5)) == ["1", "2", "3"]


async def test_higher_priority_of_the_queue_then_of_the_job(store, hand):
    await put(store, name="high", priority=9)
    await submit(store, "low", queue="a")
    await submit(store, "low urgent", queue="a", priority=5)
    await submit(store, "high", queue="high")
    await submit(store, "high urgent", queue="high", priority=1)
    assert taken(await hand.take("a", "high", limit=9)) == ["high urgent", "high", "low urgent", "low"]


async def test_a_worker_of_a_tenant_sees_only_its_jobs(store, hand):
    await submit(store, "theirs", tenant="other")
    await submit(store, "ours")
    assert taken(await hand.take(tenant="acme", limit=5)) == ["ours"]
    assert taken(await hand.take(limit=5)) == ["theirs"]


async def test_workers_of_one_and_of_any_tenant_do_not_take_the_same(store):
    await store.submit_many([new_job(tenant=("acme", "other")[i % 2]) for i in range(20)])
    batches = await asyncio.gather(
        Hand(store, "a").take(limit=10, tenant="acme"), *(Hand(store, f"s{i}").take(limit=4) for i in range(5))
    )
    ids = [lease.subjob.id for own in batches for lease in own]
    assert len(ids) == len(set(ids)) == 20


async def test_fair_turns_rotate_over_keys_and_go_on_where_they_stopped(store, hand):
    await put(store, name="default", order=QueueOrder.FAIR)
    for tenant in "aaaabbc":
        await submit(store, tenant, fair_key=tenant)
    assert taken(await hand.take(limit=2)) == ["a", "b"]
    assert taken(await hand.take(limit=2)) == ["c", "a"]
    assert taken(await hand.take(limit=9)) == ["b", "a", "a"]


async def test_fair_turns_come_after_priority(store, hand):
    await put(store, name="default", order=QueueOrder.FAIR)
    await submit(store, "a1", "a2", fair_key="a", priority=1)
    await submit(store, "b1", fair_key="b", priority=1)
    await submit(store, "c1", fair_key="c", priority=7)
    await submit(store, "none", fair_key="")
    assert taken(await hand.take(limit=9)) == ["c1", "a1", "b1", "a2", "none"]


@pytest.mark.parametrize("limit", [1, 3, 8])
async def test_fair_turns_serve_every_key_alike(store, limit):
    await put(store, name="default", order=QueueOrder.FAIR)
    await store.submit_many([new_job(fair_key=f"k{i:03}") for i in range(150) for _ in range(2)])
    hand = Hand(store)
    served = []
    while leases := await hand.take(limit=limit):
        served += [lease.job.fair_key for lease in leases]
    assert served == [f"k{i:03}" for i in range(150)] * 2


async def test_a_tenant_is_found_behind_more_keys_of_others_than_are_looked_at(store, hand, monkeypatch):
    monkeypatch.setattr(fair, "MAX_KEYS", 4)
    await put(store, name="default", order=QueueOrder.FAIR)
    await store.submit_many([new_job(tenant="other", fair_key=f"a{i}", priority=i % 3) for i in range(30)])
    await submit(store, "ours", "ours too", fair_key="z")
    await submit(store, "ours first", fair_key="y", priority=1)
    await submit(store, "ours urgent", fair_key="a1", priority=7)
    found = [taken(await hand.take(tenant="acme", limit=3)), taken(await hand.take(tenant="acme", limit=3))]
    assert found == [["ours urgent", "ours first", "ours"], ["ours too"]]


async def test_a_capped_queue_is_never_over_its_cap(store):
    await put(store, name="default", max_running=3)
    await store.submit_many([new_job() for _ in range(10)])
    hands = [Hand(store, f"s{i}") for i in range(4)]
    batches = await asyncio.gather(*(hand.take(limit=2) for hand in hands))
    leases = [(hand, lease) for hand, own in zip(hands, batches, strict=True) for lease in own]
    assert len(leases) == 3
    assert await hands[0].take(limit=5) == ()
    hand, lease = leases[0]
    await hand.end(lease.token)
    assert len(await hands[0].take(limit=5)) == 1


async def test_a_place_on_a_capped_queue_wakes_who_waits(store, hand):
    await put(store, name="default", max_running=1)
    await submit(store, "1", "2")
    (lease,) = await hand.take()
    assert await hand.take() == ()
    waiting = asyncio.create_task(store.ready(("default",), 600.0))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await hand.end(lease.token)
    await asyncio.wait_for(waiting, 60)
    assert taken(await hand.take()) == ["2"]


async def test_a_disabled_queue_keeps_its_jobs(store, hand):
    await put(store, name="default", status=QueueStatus.DISABLED)
    await submit(store, "waits")
    assert await hand.take() == ()
    await put(store, name="default")
    assert taken(await hand.take()) == ["waits"]


async def test_a_scheduled_queue_opens_in_its_slots(store, hand):
    await submit(store, "1", "2")
    now = datetime.now(UTC)
    minute = now.hour * 60 + now.minute
    closed = (TimeSlot((minute + 60) % 1440, (minute + 120) % 1440),)
    await put(store, name="default", status=QueueStatus.SCHEDULED, slots=closed)
    assert await hand.take() == ()
    around = (TimeSlot((minute - 5) % 1440, (minute + 5) % 1440),)
    await put(store, name="default", status=QueueStatus.SCHEDULED, slots=around)
    assert taken(await hand.take()) == ["1"]
    # The same hours elsewhere on earth are other minutes.
    await put(store, name="default", status=QueueStatus.SCHEDULED, slots=around, time_zone="Asia/Kolkata")
    assert await hand.take() == ()


async def test_who_waits_is_woken_by_a_submit(store, hand):
    assert await hand.take("q") == ()
    waiting = asyncio.create_task(store.ready(("q", "other"), 600.0))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await submit(store, "now", queue="q")
    await asyncio.wait_for(waiting, 60)
    assert taken(await hand.take("q")) == ["now"]


async def test_a_wake_up_between_looking_and_waiting_is_not_lost(store, hand):
    assert await hand.take("q") == ()
    await submit(store, "now", queue="q")
    await asyncio.wait_for(store.ready(("q",), 600.0), 60)


async def test_waiting_ends_by_itself(store):
    await asyncio.wait_for(store.ready(("q",), 0.05), 60)


async def test_another_process_wakes_who_waits_here(store, hand, open_store):
    async with open_store() as other:
        assert await hand.take("q") == ()
        waiting = asyncio.create_task(store.ready(("q",), 600.0))
        async with asyncio.timeout(60):
            while not waiting.done():
                # The first look only tells how things are; what is written after it is news.
                await submit(other, "now", queue="q")
                await asyncio.sleep(0.5)
    assert taken(await hand.take("q"))[0] == "now"


def large(*sizes, letter="x"):
    return tuple(NewSubjob(payload=f'"{letter * size}"') for size in sizes)


async def test_leases_of_one_answer_are_no_more_than_a_client_can_receive(store, hand):
    """By bytes, not by letters; what is left is leased to whoever asks next, and so is one that is too large itself."""
    await store.submit(new_job(subjobs=large(*[450_000] * 8, letter="ä")))
    await store.submit(new_job(subjobs=large(4_000_000, 10)))
    given = [[len(lease.subjob.payload) for lease in await hand.take(limit=50)] for _ in range(6)]
    assert given == [[450_002] * 4] * 2 + [[4_000_002], [12], [], []]


async def test_who_stood_beside_an_answer_that_was_full_looks_again(store, hand, monkeypatch):
    await store.submit(new_job(subjobs=large(*[1_500_000] * 3)))
    woken = []
    monkeypatch.setattr(store._writer, "_woken", lambda queues, _changed: woken.append(queues))
    assert [len(await hand.take(limit=50)) for _ in range(2)] == [2, 1]
    assert woken == [{"default"}, set()]


async def test_what_was_left_counts_for_no_rate_and_no_cap(store, hand):
    await put(store, name="default", max_running=4)
    await store.submit(new_job(subjobs=large(*[1_500_000] * 6)))
    assert [len(await hand.take(limit=50)) for _ in range(3)] == [2, 2, 0]
