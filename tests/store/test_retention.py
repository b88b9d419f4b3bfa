"""What is forgotten with time: jobs by the policy of their API, old events, and the space that is left behind."""

import asyncio
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from jobyard_server.domain.event import EventType
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.reason import Reason
from jobyard_server.store import sqlite
from jobyard_server.store.store import Store
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.list_jobs import JobList, list_jobs
from jobyard_server.usecases.watch_jobs import WatchRequest, watch_jobs
from support.storing import FakeClock, Hand, new_job, refusal

DAY = 86_400.0
ANN = Call(Principal("ann", "acme"), "jobs", every_api=True)


@pytest.fixture
def clock():
    return FakeClock()


@pytest_asyncio.fixture
async def store(url, clock):
    async with Store(url, clock=clock, keep_seconds=30 * DAY, keep_by_api={"sample": DAY, "other": 0.0}) as opened:
        yield opened


async def ended(store, **changes):
    job = (await store.submit(new_job(**changes))).job
    for lease in await Hand(store).take():
        await Hand(store).end(lease.token)
    return await store.read.job(job.number, api=None, tenant=None)


# --- jobs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({"api": "jobs"}, 30 * DAY),
        ({"api": "sample"}, DAY),
        ({"api": "other"}, 0.0),
        ({"api": "sample", "expires_after": 60.0}, 60.0),
        ({"api": "sample", "subjobs": ()}, DAY),
        ({"api": "jobs", "subjobs": (), "expires_after": 7.0}, 7.0),
    ],
)
async def test_a_job_is_kept_as_it_says_or_as_its_api_does(store, clock, changes, seconds):
    job = await ended(store, **changes)
    assert job.expires_at == job.finished_at + round(seconds * 1_000_000)
    if seconds:
        clock.pass_by(seconds - 1)
        assert await store.forget_jobs() == 0
        clock.pass_by(1)
    assert await store.forget_jobs() == 1
    assert await store.read.job(job.number, api=None, tenant=None) is None


# --- events --------------------------------------------------------------------------------------------------------


async def test_no_job_is_kept_longer_than_calendars_last(store):
    job = await ended(store, expires_after=9_000 * 365 * DAY)
    assert datetime.fromtimestamp(job.expires_at // 1_000_000, UTC).isoformat() == "9999-12-31T23:59:59+00:00"


async def test_old_events_go_and_the_floor_rises(store, clock):
    first = await ended(store)
    clock.pass_by(DAY)
    second = await ended(store)
    clock.pass_by(DAY / 2)
    told = len(await store.read.events(after=0, limit=100, job=first.number))
    assert await store.forget_events(DAY) == told
    assert await store.forget_events(DAY) == 0
    floor, head = await store.read.event_bounds()
    assert (floor, head) == (told, 2 * told)
    assert await store.read.events(after=0, limit=100, job=first.number) == []
    assert len(await store.read.events(after=0, limit=100, job=second.number)) == told
    # The job itself stays, and goes on counting.
    assert (await store.read.job(first.number, api=None, tenant=None)).last_event == told


async def test_many_events_go_step_by_step(store, clock):
    await store.submit_many([new_job() for _ in range(1200)])
    clock.pass_by(DAY)
    assert [await store.forget_events(DAY) for _ in range(4)] == [500, 500, 200, 0]


async def test_the_floor_outlives_a_restart(url, clock):
    async with Store(url, clock=clock) as store:
        await ended(store)
        clock.pass_by(DAY)
        forgotten = await store.forget_events(DAY)
    async with Store(url, clock=clock) as store:
        assert await store.read.event_bounds() == (forgotten, forgotten)


async def test_who_resumes_below_the_floor_is_told_to_list_again(store, clock):
    token = (await list_jobs(store, ANN, JobList())).watch_token
    await ended(store)
    clock.pass_by(DAY)
    await store.forget_events(DAY)
    refused = await refusal(anext(watch_jobs(store, ANN, WatchRequest(resume_token=token))))
    assert refused.reason is Reason.EVENTS_COMPACTED
    assert "List the jobs again" in refused.message
    again = (await list_jobs(store, ANN, JobList())).watch_token
    watch = watch_jobs(store, ANN, WatchRequest(resume_token=again))
    following = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0.05)
    job = (await store.submit(new_job())).job
    item = await asyncio.wait_for(following, 60)
    assert (item.event.type, item.event.job) == (EventType.JOB_SUBMITTED, job.number)
    await watch.aclose()


async def test_who_listens_too_slowly_learns_what_he_missed(store, clock, monkeypatch):
    """A watcher holds nothing but its position: while it does not listen, the events behind it may go."""
    monkeypatch.setattr("jobyard_server.usecases.watch_jobs.PAGE", 2)
    await store.submit_many([new_job() for _ in range(20)])
    token = (await list_jobs(store, ANN, JobList())).watch_token
    await store.submit_many([new_job() for _ in range(20)])
    watch = watch_jobs(store, ANN, WatchRequest(resume_token=token))
    assert (await anext(watch)).event is not None
    clock.pass_by(DAY)
    await store.forget_events(DAY)
    assert (await anext(watch)).event is not None
    assert (await refusal(anext(watch))).reason is Reason.EVENTS_COMPACTED


# --- space ---------------------------------------------------------------------------------------------------------


@pytest.mark.only("sqlite")
async def test_space_that_is_not_used_any_more_is_given_back(store, clock, url, monkeypatch):
    monkeypatch.setattr(sqlite, "SPARE_PAGES", 16)

    async def size():
        ((pages,),) = await store.run(lambda tx: tx._unit.sets.all("PRAGMA page_count"))
        return pages

    assert await store.give_back() == 0
    numbers = [(await ended(store, spec='{"a":"' + "x" * 500_000 + '"}', expires_after=1.0)).number for _ in range(8)]
    large = await size()
    clock.pass_by(1)
    while await store.forget_jobs():
        pass
    assert await store.read.job(numbers[0], api=None, tenant=None) is None
    assert await size() == large
    given = 0
    while step := await store.give_back():
        assert step <= sqlite.VACUUM_PAGES
        given += step
    assert given > 500
    assert await size() <= large - given
    job = await ended(store)
    assert await store.read.job(job.number, api=None, tenant=None) == job
