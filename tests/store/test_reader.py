"""Reads: what is committed and nothing else, in order, and a clear word when the database does not answer."""

import asyncio
import sqlite3

import psycopg
import pytest

from jobyard_server.domain.event import EventType
from jobyard_server.domain.reason import Reason
from jobyard_server.store.postgresql_sets import PostgresSets
from jobyard_server.store.sets import SqliteSets
from jobyard_server.usecases.ports import JobQuery
from support.storing import new_job, pieces, refusal


async def test_an_empty_store_has_nothing(store):
    assert await store.read.newest_number() == 0
    assert await store.read.event_bounds() == (0, 0)
    assert await store.read.jobs(JobQuery(None, None)) == []
    assert await store.read.job(1, api=None, tenant=None) is None
    assert await store.read.events(after=0, limit=10) == []


async def test_events_are_read_from_a_position_on(store):
    for index in range(6):
        await store.submit(new_job(api=("jobs", "sample")[index % 2], tenant=("acme", "other")[index // 3]))
    events = await store.read.events(after=0, limit=100)
    positions = [event.position for event in events]
    assert positions == sorted(positions)
    assert await store.read.event_bounds() == (0, positions[-1])

    async def jobs(**where):
        return [event.job for event in await store.read.events(**{"after": 0, "limit": 100, **where})]

    assert await jobs() == [1, 2, 3, 4, 5, 6]
    assert await jobs(limit=2) == [1, 2]
    assert await jobs(after=positions[3]) == [5, 6]
    assert await jobs(after=positions[1], until=positions[3]) == [3, 4]
    assert await jobs(api="sample") == [2, 4, 6]
    assert await jobs(tenant="other") == [4, 5, 6]
    assert await jobs(api="jobs", tenant="other") == [5]
    assert await jobs(job=3) == [3]
    assert await jobs(job=3, after=positions[2]) == []


async def test_the_floor_tells_what_was_compacted(store):
    await store.submit(new_job())

    def compact(unit):
        unit.sets.run("INSERT INTO meta (name, value) VALUES ('event_floor', '1')")
        return 0

    await store._step(compact)
    assert await store.read.event_bounds() == (1, 1)


async def test_subjobs_are_read_from_an_ordinal_on(store):
    job = (await store.submit(new_job(subjobs=pieces(5)))).job
    assert [one.ordinal for one in await store.read.subjobs(job.number)] == [0, 1, 2, 3, 4]
    assert [one.ordinal for one in await store.read.subjobs(job.number, after=1, limit=2)] == [2, 3]
    assert await store.read.subjobs(job.number + 1) == []


async def test_another_process_reads_what_was_committed(store, open_store):
    async with open_store() as other:
        job = (await store.submit(new_job())).job
        assert await other.read.job(job.uid, api=None, tenant=None) == job
        theirs = (await other.submit(new_job())).job
        assert await store.read.job(theirs.number, api=None, tenant=None) == theirs
        assert store.signer.open("x", other.signer.seal("x", [1, "a"])) == [1, "a"]
        assert store.signer.epoch == other.signer.epoch


async def test_a_store_opened_again_knows_its_tokens_and_jobs(open_store):
    async with open_store() as first:
        job = (await first.submit(new_job())).job
        token = first.signer.seal("x", [7])
    async with open_store() as second:
        assert second.signer.open("x", token) == [7]
        assert await second.read.job(job.number, api=None, tenant=None) == job
        assert (await second.submit(new_job())).job.number == job.number + 1


async def test_a_list_is_one_moment(store):
    """Jobs that change their queue while a list is read are neither missed nor seen twice."""
    for index in range(30):
        await store.submit(new_job(queue=f"q{index % 2}", display_name=str(index)))

    async def moving():
        for index in range(60):
            number = index % 30 + 1

            def rename(tx, number=number, index=index):
                job = tx.job(number, api=None, tenant=None)
                return tx.change_job(job, display_name=str(index), event=EventType.JOB_UPDATED)

            await store.run(rename)

    async def listing():
        for _ in range(20):
            found = await store.read.jobs(JobQuery("jobs", "acme", limit=100))
            assert sorted(job.number for job in found) == list(range(1, 31))

    await asyncio.gather(moving(), listing(), listing())


@pytest.mark.parametrize("what", ["job", "jobs", "events", "event_bounds", "queues"])
async def test_a_database_that_does_not_answer_is_said_to_be_unavailable(store, database_kind, monkeypatch, what):
    def broken(*_):
        kinds = {"sqlite": sqlite3.OperationalError, "postgresql": psycopg.OperationalError}
        raise kinds[database_kind]("disk I/O error in /secret/path")

    reads = {
        "job": lambda: store.read.job(1, api=None, tenant=None),
        "jobs": lambda: store.read.jobs(JobQuery(None, None)),
        "events": lambda: store.read.events(after=0, limit=1),
        "event_bounds": store.read.event_bounds,
        "queues": store.read.queues,
    }
    monkeypatch.setattr(SqliteSets if database_kind == "sqlite" else PostgresSets, "all", broken)
    refused = await refusal(reads[what]())
    assert refused.reason is Reason.STORE_UNAVAILABLE
    assert refused.retry_after is not None
    assert "secret" not in refused.message
