"""Several replicas write to one database at once: everything happens once, and is told in one order."""

import asyncio
import os
import random
import time
from collections import Counter
from dataclasses import replace

import psycopg
import pytest

from jobyard_server.domain.catalog import Queue
from jobyard_server.domain.delivery import Verdict
from jobyard_server.domain.job import Outcome
from jobyard_server.domain.reason import Reason, Refused
from jobyard_server.domain.schedule import Progress
from jobyard_server.store import wakeups
from jobyard_server.usecases.ports import JobQuery
from support.databases import rows_of
from support.delivering import claim, owe, owed, settle
from support.scheduling import MINUTE, command, scheduled
from support.storing import Hand, key, new_job, pieces

LONG = bool(os.environ.get("LONG"))
SCALE = 10 if LONG else 1
REPLICAS = 3


async def insist(call):
    """Do it again where it waited too long for its turn, as clients do."""
    for _ in range(100):
        try:
            return await call()
        except Refused as problem:
            if problem.refusal.reason not in {Reason.STORE_UNAVAILABLE, Reason.OVERLOADED}:
                raise
            await asyncio.sleep(0.1)
    raise AssertionError("its turn never came")


async def work_off(stores, workers, *, until):
    """Run no-op jobs until so many are done; what each replica leased."""
    done = Counter()
    seen = []

    async def work(index):
        replica = index % len(stores)
        hand = Hand(stores[replica], f"worker-{index:03}")
        while done.total() < until:
            leases = await insist(lambda: hand.take(limit=random.randint(1, 4)))
            seen.extend((lease.subjob.id, lease.attempt) for lease in leases)
            for lease in leases:
                await insist(lambda token=lease.token: hand.end(token))
                done[replica] += 1
            if not leases:
                await asyncio.sleep(0.02)

    async with asyncio.timeout(250):
        await asyncio.gather(*(work(index) for index in range(workers)))
    return done, seen


async def test_every_subjob_is_leased_once_and_caps_hold(shared, replicas):
    jobs = 200 * SCALE
    async with replicas(shared, REPLICAS) as stores:
        await stores[0].run(lambda tx: tx.put_queue(Queue("default", max_running_per_tenant=5)))
        for start in range(0, jobs, 50):
            made = [new_job(tenant=f"t{(start + n) % 4}") for n in range(50)]
            await stores[start // 50 % REPLICAS].submit_many(made)
        done, seen = await work_off(stores, 12, until=jobs)
        assert len(seen) == len(set(seen)) == jobs
        assert {attempt for _, attempt in seen} == {1}
        assert len(done) == REPLICAS, done
    running = Counter()
    for tenant, type_ in rows_of(shared, "SELECT tenant, type FROM events ORDER BY position"):
        running[tenant] += {"ATTEMPT_STARTED": 1, "ATTEMPT_ENDED": -1}.get(type_, 0)
        assert running[tenant] <= 5


async def test_keys_that_cross_make_one_job_each(shared, replicas):
    """Groups of keys in opposite orders lock each other out; whoever loses does it again."""
    keys = [f"k{n}" for n in range(20)]
    answers = {}
    refused = Counter()

    async def submit(store, index):
        wanted = random.Random(index).sample(keys, 6)
        other = index % 10 == 0
        group = [new_job(key=key(name, "other" if other else "same")) for name in wanted]
        try:
            made = await insist(lambda: store.submit_many(group))
            for submitted, name in zip(made, wanted, strict=True):
                answers.setdefault(name, set()).add(submitted.job.number)
        except Refused as problem:
            refused[problem.refusal.reason] += 1

    async with replicas(shared, REPLICAS) as stores:
        await stores[0].submit_many([new_job(key=key(name)) for name in keys[:3]])
        for round_ in range(4 * SCALE):
            await asyncio.gather(*(submit(stores[n % REPLICAS], round_ * 48 + n) for n in range(48)))
    assert {len(numbers) for numbers in answers.values()} == {1}
    assert rows_of(shared, "SELECT count(*) FROM jobs") == rows_of(shared, "SELECT count(*) FROM request_keys")
    assert set(refused) <= {Reason.IDEMPOTENCY_KEY_REUSED}, refused


async def test_jobs_that_cross_are_changed_one_after_the_other(shared, replicas):
    """Closures and leases go for the same jobs in any order, and the books add up."""
    async with replicas(shared, REPLICAS) as stores:
        made = await stores[0].submit_many([new_job(subjobs=pieces(3)) for _ in range(20)])
        numbers = [one.job.number for one in made]

        async def touch(store, index):
            order = random.Random(index).sample(numbers, 5)

            def change(tx):
                for number in order:
                    job = tx.job(number, api=None, tenant=None)
                    tx.refold(tx.change_job(job, display_name=f"{index}"))

            await insist(lambda: store.run(change))

        async def work(store, index):
            hand = Hand(store, f"crossing-{index}", seconds=600)
            for lease in await insist(lambda: hand.take(limit=5)):
                outcome = random.choice([Outcome.SUCCEEDED, Outcome.FAILED, Outcome.RELEASED])
                await insist(lambda token=lease.token, outcome=outcome: hand.end(token, outcome))

        for round_ in range(3 * SCALE):
            doing = [touch(stores[n % REPLICAS], round_ * 100 + n) for n in range(12)]
            doing += [work(stores[n % REPLICAS], round_ * 100 + n) for n in range(12)]
            await asyncio.gather(*doing)


async def test_readers_miss_no_event_and_see_none_twice(shared, replicas):
    """Pages of events are read at another replica while all write, and resumed where the last one ended."""
    jobs = 60 * SCALE
    async with replicas(shared, REPLICAS) as stores:
        read = []
        over = asyncio.Event()

        async def follow():
            after, turn = 0, 0
            while True:
                last = over.is_set()
                page = await stores[turn % REPLICAS].read.events(after=after, limit=7)
                read.extend(page)
                after, turn = (page[-1].position, turn + 1) if page else (after, turn + 1)
                if not page:
                    if last:
                        return
                    await stores[turn % REPLICAS].changed(0.2)

        following = asyncio.create_task(follow())
        await asyncio.gather(*(insist(lambda n=n: stores[n % REPLICAS].submit(new_job())) for n in range(jobs)))
        await work_off(stores, 6, until=jobs)
        over.set()
        await following
        assert [one.position for one in read] == sorted({one.position for one in read})
        assert len(read) == rows_of(shared, "SELECT count(*) FROM events")[0][0]


async def test_what_one_replica_writes_wakes_who_waits_at_another(shared, replicas, monkeypatch):
    # Nobody looks by himself: who waits is told.
    monkeypatch.setattr(wakeups, "POLL_SECONDS", 600.0)
    async with replicas(shared, 2) as (one, other):
        waiting = asyncio.create_task(other.ready(["default"], 600))
        watching = asyncio.create_task(other.changed(600))
        async with asyncio.timeout(60):
            while not (waiting.done() and watching.done()):
                # Whoever was not listening yet hears of the next one.
                await one.submit(new_job())
                await asyncio.sleep(0.2)


async def test_a_long_transaction_of_a_neighbour_holds_up_nobody(durable, shared, replicas):
    neighbour = durable.new_database()
    with psycopg.connect(neighbour) as writing:
        writing.execute("CREATE TABLE held (number bigint)")
        writing.execute("INSERT INTO held VALUES (1)")
        async with replicas(shared, 2) as (one, other):
            submitted = await one.submit(new_job())
            events = await other.read.events(after=0, limit=10)
            assert [event.job for event in events] == [submitted.job.number]
            done, _ = await work_off([one, other], 4, until=1)
            assert done.total() == 1
        writing.rollback()
    durable.drop_database(neighbour)


async def test_deliveries_leave_once_and_lanes_keep_their_order(shared, replicas):
    count = 60 * SCALE
    async with replicas(shared, REPLICAS) as stores:
        for start in range(0, count, 3):
            lanes = [owed(lane=f"lane{start % 4}", facts=f'{{"n": {start + n}}}') for n in range(3)]
            await owe(stores[start // 3 % REPLICAS], *lanes)
        sent = []

        async def send(store):
            while len(sent) < count:
                claimed = await claim(store, limit=5)
                for one in claimed:
                    sent.append(one)
                    await settle(store, one, Verdict.DONE)
                if not claimed:
                    await asyncio.sleep(0.02)

        async with asyncio.timeout(250):
            await asyncio.gather(*(send(store) for store in stores))
    assert len({one.number for one in sent}) == len(sent) == count
    for lane in {one.lane for one in sent}:
        own = [one.number for one in sent if one.lane == lane]
        assert own == sorted(own)


async def test_the_clock_of_a_replica_ends_no_lease(shared, replicas, monkeypatch):
    """The database tells the time: whatever a machine believes, leases last as long as they should."""
    async with replicas(shared, 2) as (one, other):
        await one.submit(new_job())
        hand = Hand(one, "patient", seconds=600)
        (lease,) = await hand.take()
        real = time.time_ns
        for jump in (3_600, -7_200, 86_400):
            monkeypatch.setattr(time, "time_ns", lambda jump=jump: real() + jump * 1_000_000_000)
            assert await other.expire_leases() == 0
            assert await other.wake_due() == 0
            now = await other.read.now()
            assert abs(now - real() // 1000) < 60_000_000
        monkeypatch.undo()
        await hand.end(lease.token)


async def test_a_list_is_the_same_at_every_replica(shared, replicas):
    async with replicas(shared, 2) as (one, other):
        await one.submit_many([replace(new_job(), display_name=f"n{n}") for n in range(30)])
        query = JobQuery("jobs", "acme", limit=100)
        assert await one.read.jobs(query) == await other.read.jobs(query)


@pytest.mark.parametrize("count", [2, 3])
async def test_one_replica_fires_a_due_time(shared, replicas, count):
    async with replicas(shared, count) as stores:
        first = await stores[0].read.now() // MINUTE * MINUTE - 2 * MINUTE
        await stores[0].submit(scheduled(now=first - 1))
        seen = [(await store.due_schedules(10))[1] for store in stores]
        assert {len(found) for found in seen} == {1}
        fires = [command(found[0], first, after=Progress(first + 60 * MINUTE)) for found in seen]
        fired = await asyncio.gather(*(store.fire([one]) for store, one in zip(stores, fires, strict=True)))
        assert sum(one.won[0] for one in fired) == sum(one.jobs for one in fired) == 1
        assert rows_of(shared, "SELECT count(*) FROM jobs WHERE parent IS NOT NULL") == [(1,)]
