"""Where jobs stand is written beside them in the same transactions, and only of those that are looked for by it."""

import re

import pytest

from jobyard_server.domain.fields import LASTING, MOVING, ApiFields
from jobyard_server.domain.filter import Comparison, Op
from jobyard_server.domain.job import Mode, Outcome, RetryPolicy
from jobyard_server.domain.state import Actor, State
from jobyard_server.store.checking import MISPLACED, check
from jobyard_server.store.columns import METADATA
from jobyard_server.store.database import open_database
from jobyard_server.store.ledger import CHANGING
from jobyard_server.store.standings import COLUMNS
from jobyard_server.store.store import Store
from jobyard_server.usecases.ports import JobQuery, Order
from support.databases import rows_of
from support.storing import FakeClock, Hand, new_job

WORDS = {"listed": {State.PENDING: "queued", State.RUNNING: "busy", State.SUCCEEDED: "done"}}
FIELDS = {"listed": ApiFields({}, indexed=("state_word", "updated_at")), "plain": ApiFields({})}


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def open_store(url, clock):
    """Opens the store with these fields of APIs."""
    return lambda fields=FIELDS: Store(url, clock=clock, words=WORDS, fields=fields)


@pytest.fixture
def standings(url):
    """Reads the rows by the numbers of their jobs, and sees that each says the same as its job."""

    def read(*names):
        rows = rows_of(url, f"SELECT {', '.join(COLUMNS)} FROM standings ORDER BY number")
        assert rows_of(url, MISPLACED) == []
        return {row[0]: tuple(dict(zip(COLUMNS, row, strict=True))[name] for name in names) for row in rows}

    return read


async def submitted(store, **changes):
    return (await store.submit(new_job(**changes))).job


async def end(store, outcome=Outcome.SUCCEEDED):
    hand = Hand(store)
    for lease in await hand.take(limit=10):
        await hand.end(lease.token, outcome)


async def test_a_job_that_is_listed_by_its_state_is_found_by_it_through_all_its_life(store, clock, standings):
    job = await submitted(store, api="listed")
    assert standings("state_word", "updated_at") == {job.number: ("queued", clock.wall())}
    clock.pass_by(5)
    hand = Hand(store)
    (lease,) = await hand.take()
    assert standings("state_word", "updated_at") == {job.number: ("busy", clock.wall())}
    clock.pass_by(5)
    await hand.end(lease.token)
    assert standings("state_word", "updated_at") == {job.number: ("done", clock.wall())}
    await store.run(lambda tx: tx.delete_job(tx.job(job.number, api=None, tenant=None), by="ann"))
    assert standings() == {}


async def test_a_job_that_nobody_looks_for_has_no_place(store, standings):
    await submitted(store, api="plain")
    await end(store)
    assert standings() == {}


async def test_a_schedule_finds_the_jobs_it_made_until_they_end(store, standings):
    parent = await submitted(store, mode=Mode.STANDING, subjobs=())
    child = await submitted(store, api="plain", parent=parent.number)
    other = await submitted(store, api="plain", parent=parent.number, queue="other")
    assert standings("live_parent") == {child.number: (parent.number,), other.number: (parent.number,)}
    await end(store)
    assert standings("live_parent") == {other.number: (parent.number,)}
    assert await store.read.live_children(parent.number) == [other.number]


async def test_what_is_removed_some_day_stands_where_that_is_seen(store, clock, standings):
    kept = await submitted(store, api="plain", expires_after=60.0, retry=RetryPolicy(max_attempts=1), resumable=True)
    assert standings() == {}
    await end(store, Outcome.FAILED)
    assert standings("removal_at") == {kept.number: (clock.wall() + 60_000_000,)}

    def resume(tx):
        job = tx.job(kept.number, api=None, tenant=None)
        for subjob in tx.subjobs(job.number):
            tx.change_subjob(subjob, State.PENDING, actor=Actor.USER)
        tx.refold(job)

    await store.run(resume)
    assert standings() == {}
    clock.pass_by(61)
    assert await store.forget_jobs() == 0
    await end(store)
    clock.pass_by(61)
    assert await store.forget_jobs() == 1
    assert standings() == {}


async def test_jobs_from_before_an_api_listed_them_so_are_placed_at_the_start(open_store, standings):
    async with open_store({"listed": ApiFields({})}) as before:
        jobs = [await submitted(before, api="listed", parent=parent) for parent in (None, 99, None)]
        await submitted(before, api="plain")
    assert standings() == {jobs[1].number: ()}
    async with open_store():
        assert standings("state_word", "live_parent") == {
            job.number: ("queued", parent) for job, parent in zip(jobs, (None, 99, None), strict=True)
        }
    async with open_store() as again:
        found = await again.read.jobs(JobQuery("listed", None, Comparison("state_word", Op.EQ, "queued")))
        assert [job.number for job in found] == [job.number for job in reversed(jobs)]


async def test_pages_by_what_changes_hold_every_job_once(store, clock):
    jobs = [await submitted(store, api="listed", queue=f"q{i % 2}") for i in range(9)]
    clock.pass_by(1)
    hand = Hand(store)
    for lease in await hand.take("q1", limit=9):
        await hand.end(lease.token)
    order = (Order("updated_at", descending=True), Order("number"))
    seen, after = [], None
    while page := await store.read.jobs(JobQuery("listed", "acme", order=order, after=after, limit=2)):
        seen += page
        after = (page[-1].updated_at, page[-1].number)
    assert [job.number for job in seen] == [job.number for job in jobs[1::2] + jobs[::2]]
    done = JobQuery("listed", "acme", Comparison("state_word", Op.EQ, "done"))
    assert await store.read.count_jobs(done) == 4


@pytest.mark.parametrize("damage", ["DELETE FROM standings", "UPDATE standings SET state_word = 'done'"])
async def test_a_check_names_jobs_that_do_not_stand_where_they_are_listed(store, url, damage):
    job = await submitted(store, api="listed")
    await submitted(store, api="plain")
    database = open_database(url)
    try:
        assert check(database).damage == []
        rows_of(url, damage)
        assert check(database).damage == [f"standings: job {job.number} does not stand there as it is"]
    finally:
        database.close()


def test_no_index_over_jobs_holds_what_their_work_changes():
    indexes = METADATA.tables["jobs"].indexes
    assert len(indexes) > 4
    for index in indexes:
        where = index.dialect_options["postgresql"]["where"]
        # A condition on a column counts as much as the column.
        held = {column.name for column in index.columns} | set(re.findall(r"\w+", str(where)))
        assert held.isdisjoint(CHANGING), index.name
    # APIs have indexes of their own over these and over attributes, which the work on a job does not change either.
    assert LASTING.isdisjoint(CHANGING)
    assert set(CHANGING) >= MOVING
