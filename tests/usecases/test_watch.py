"""Watching: every event once and in order, wherever a stream broke off."""

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest

from jobyard_server.domain.event import EventType
from jobyard_server.domain.job import Outcome
from jobyard_server.domain.reason import Reason
from jobyard_server.domain.signing import KEY_BYTES, Signer
from jobyard_server.domain.state import State
from jobyard_server.usecases import watch_jobs as watching
from jobyard_server.usecases.cancel_job import cancel_job
from jobyard_server.usecases.delete_job import delete_job
from jobyard_server.usecases.list_jobs import JobList, list_jobs
from jobyard_server.usecases.retry_job import retry_job
from jobyard_server.usecases.watch_jobs import WatchRequest, seal_watch, watch_jobs
from support.storing import new_job, refusal

SOON = 60.0


async def take(stream, count):
    """As many items of a stream, in time."""
    async with asyncio.timeout(SOON):
        return [await anext(stream) for _ in range(count)]


async def whole(stream):
    async with asyncio.timeout(SOON):
        return [item async for item in stream]


async def first_of(store, call, request):
    async with aclosing(watch_jobs(store, call, request)) as stream:
        return await anext(stream)


async def submitted(store, **changes):
    return (await store.submit(new_job(**changes))).job


async def test_a_job_is_followed_from_its_first_event_to_its_end(store, ann, hand):
    job = await submitted(store)
    following = asyncio.ensure_future(whole(watch_jobs(store, ann, WatchRequest(job=job.uid, until_terminal=True))))
    await asyncio.sleep(0.05)
    (lease,) = await hand.take()
    await hand.end(lease.token)
    events = [item.event for item in await following]
    assert [event.job_seq for event in events] == [1, 2, 3, 4, 5]
    assert events[-1].state is State.SUCCEEDED
    assert events == await store.read.events(after=0, limit=100)


async def test_a_watch_ends_when_the_server_stops_and_says_so(store, ann):
    job = await submitted(store)
    async with aclosing(watch_jobs(store, ann, WatchRequest(job=job.uid))) as stream:
        (item,) = await take(stream, 1)
        waiting = asyncio.ensure_future(refusal(anext(stream)))
        await asyncio.sleep(0.05)
        store.end_waits()
        assert (await asyncio.wait_for(waiting, 30)).reason is Reason.SERVER_STOPPING
    # What was told last is where another server goes on.
    async with aclosing(watch_jobs(store, ann, WatchRequest(resume_token=item.resume_token))) as stream:
        assert (await refusal(anext(stream))).reason is Reason.SERVER_STOPPING


@pytest.fixture
def begun(store, monkeypatch):
    """Set when a watch knows from where it tells."""
    event, bounds = asyncio.Event(), store.read.event_bounds

    async def told():
        found = await bounds()
        event.set()
        return found

    monkeypatch.setattr(store.read, "event_bounds", told)
    return event


async def test_without_a_token_a_watch_begins_now(store, ann, begun):
    await submitted(store)
    async with aclosing(watch_jobs(store, ann, WatchRequest())) as stream:
        waiting = asyncio.ensure_future(take(stream, 1))
        await begun.wait()
        job = await submitted(store)
        ((item,),) = (await waiting,)
        assert (item.event.job, item.event.type, item.job) == (job.number, EventType.JOB_SUBMITTED, None)


async def test_a_list_tells_where_to_watch_from(store, ann):
    await submitted(store)
    token = (await list_jobs(store, ann, JobList())).watch_token
    job = await submitted(store)
    item = await first_of(store, ann, WatchRequest(resume_token=token))
    assert item.event.job == job.number


async def test_a_broken_stream_goes_on_where_it_ended(store, ann, monkeypatch):
    monkeypatch.setattr(watching, "PAGE", 3)
    token = (await list_jobs(store, ann, JobList())).watch_token
    made = [(await submitted(store)).number for _ in range(10)]
    seen = []
    while len(seen) < 10:
        async with aclosing(watch_jobs(store, ann, WatchRequest(resume_token=token))) as stream:
            for item in await take(stream, min(4, 10 - len(seen))):
                seen.append(item.event.job)
                token = item.resume_token
    assert seen == made


async def test_checkpoints_move_the_token_past_what_is_not_wanted(store, ann):
    token = (await list_jobs(store, ann, JobList())).watch_token
    await submitted(store, queue="other")
    request = WatchRequest(filter="queue = mine", resume_token=token, checkpoint_seconds=0.05)
    checkpoint = await first_of(store, ann, request)
    assert checkpoint.event is None
    _, head = await store.read.event_bounds()
    assert checkpoint.resume_token == seal_watch(store.signer, head)


async def test_a_filter_looks_at_the_job(store, ann):
    start = (await list_jobs(store, ann, JobList())).watch_token
    mine = await submitted(store, queue="mine")
    await submitted(store, queue="other")
    await cancel_job(store, ann, mine.number)
    request = WatchRequest(filter="queue = mine", resume_token=start, include_job=True)
    async with aclosing(watch_jobs(store, ann, request)) as stream:
        items = await take(stream, 4)
    assert {item.event.job for item in items} == {mine.number}
    assert [item.event.type for item in items] == [
        EventType.JOB_SUBMITTED, EventType.CANCEL_REQUESTED, EventType.SUBJOB_CHANGED, EventType.JOB_CHANGED,
    ]  # fmt: skip
    assert all(item.job.state is State.CANCELLED for item in items)


async def test_of_a_deleted_job_a_filter_lets_only_the_end_pass(store, ann):
    start = (await list_jobs(store, ann, JobList())).watch_token
    gone = await submitted(store, queue="other")
    await delete_job(store, ann, gone.number, force=True)
    request = WatchRequest(filter="queue = mine", resume_token=start, include_job=True)
    item = await first_of(store, ann, request)
    assert (item.event.type, item.job) == (EventType.JOB_DELETED, None)


@pytest.mark.parametrize("end", ["fail", "delete", "already"])
async def test_a_followed_job_ends_its_watch(store, ann, hand, end):
    job = await submitted(store)
    if end == "already":
        await cancel_job(store, ann, job.number)
    stream = asyncio.ensure_future(whole(watch_jobs(store, ann, WatchRequest(job=job.number, until_terminal=True))))
    await asyncio.sleep(0.05)
    if end == "fail":
        (lease,) = await hand.take()
        await hand.end(lease.token, Outcome.FAILED)
    elif end == "delete":
        await delete_job(store, ann, job.number, force=True)
    last = (await stream)[-1].event
    assert last.state.terminal == (end != "delete")
    assert (last.type is EventType.JOB_DELETED) == (end == "delete")


async def test_a_job_that_was_retried_is_followed_to_its_last_end(store, ann, hand):
    job = await submitted(store)
    await cancel_job(store, ann, job.number)
    await retry_job(store, ann, job.number)
    stream = asyncio.ensure_future(whole(watch_jobs(store, ann, WatchRequest(job=job.number, until_terminal=True))))
    await asyncio.sleep(0.05)
    assert not stream.done()
    (lease,) = await hand.take()
    await hand.end(lease.token)
    assert (await stream)[-1].event.state is State.SUCCEEDED


async def test_a_stream_that_broke_behind_the_last_event_ends_when_it_is_taken_up_again(store, ann):
    job = await submitted(store)
    await cancel_job(store, ann, job.number)
    request = WatchRequest(job=job.number, until_terminal=True)
    *_, before, last = await whole(watch_jobs(store, ann, request))
    assert await whole(watch_jobs(store, ann, replace(request, resume_token=last.resume_token))) == []
    assert await whole(watch_jobs(store, ann, replace(request, resume_token=before.resume_token))) == [last]
    await retry_job(store, ann, job.number)
    again = await first_of(store, ann, replace(request, resume_token=last.resume_token))
    assert again.event.type is EventType.RETRY_REQUESTED


async def test_nobody_watches_what_he_may_not_see(store, ann, stranger, sample):
    start = (await list_jobs(store, ann, JobList())).watch_token
    job = await submitted(store)
    other = await submitted(store, tenant="other")
    own = await submitted(store, api="sample")
    for call, seen in ((ann, job), (stranger, other), (sample, own)):
        item = await first_of(store, call, WatchRequest(resume_token=start))
        assert item.event.job == seen.number
    assert (await refusal(first_of(store, stranger, WatchRequest(job=job.uid)))).reason is Reason.JOB_NOT_FOUND


@pytest.mark.parametrize("token", ["nonsense", "AAAA", "é"])
async def test_a_token_that_is_none_is_refused(store, ann, token):
    refused = await refusal(first_of(store, ann, WatchRequest(resume_token=token)))
    assert refused.reason is Reason.INVALID_FIELD
    assert [violation.field for violation in refused.violations] == ["resume_token"]


async def test_a_token_from_the_future_or_another_epoch_asks_to_list_again(store, ann):
    _, head = await store.read.event_bounds()
    ahead = seal_watch(store.signer, head + 1)
    assert (await refusal(first_of(store, ann, WatchRequest(resume_token=ahead)))).reason is Reason.EVENTS_COMPACTED


async def test_a_watcher_that_fell_behind_is_told_to_list_again(store, ann, monkeypatch):
    start = (await list_jobs(store, ann, JobList())).watch_token
    for _ in range(6):
        await submitted(store)
    monkeypatch.setattr(watching, "PAGE", 2)
    async with aclosing(watch_jobs(store, ann, WatchRequest(resume_token=start))) as stream:
        await take(stream, 1)
        bounds = await store.read.event_bounds()
        monkeypatch.setattr(store.read, "event_bounds", lambda: asyncio.sleep(0, (5, bounds[1])))
        refused = await refusal(take(stream, 3))
    assert refused.reason is Reason.EVENTS_COMPACTED
    behind = await refusal(first_of(store, ann, WatchRequest(resume_token=start)))
    assert behind.reason is Reason.EVENTS_COMPACTED


async def test_tokens_of_other_databases_are_refused(store, ann):
    other = Signer(b"o" * KEY_BYTES, store.signer.epoch)
    refused = await refusal(first_of(store, ann, WatchRequest(resume_token=seal_watch(other, 0))))
    assert refused.reason is Reason.INVALID_FIELD


async def test_a_watcher_that_does_not_listen_holds_up_nobody(store, ann, begun):
    async with aclosing(watch_jobs(store, ann, WatchRequest())) as stream:
        waiting = asyncio.ensure_future(anext(stream))
        await begun.wait()
        await submitted(store)
        await waiting
        made = await asyncio.gather(*(submitted(store) for _ in range(200)))
        rest = await take(stream, 200)
    assert [item.event.job for item in rest] == sorted(job.number for job in made)


async def test_a_watch_that_is_left_leaves_nothing_behind(store, ann):
    before = len(asyncio.all_tasks())
    stream = watch_jobs(store, ann, replace(WatchRequest(), checkpoint_seconds=30.0))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await anext(stream)
    await stream.aclose()
    await asyncio.sleep(0.01)
    # The store may have begun to look out for other processes, once for all watchers.
    assert len(asyncio.all_tasks()) <= before + 1
