"""Many jobs changed at once, by a filter."""

import pytest

from jobyard_server.domain.event import EventType
from jobyard_server.domain.filter import Comparison, Op
from jobyard_server.domain.job import Outcome
from jobyard_server.domain.reason import Reason
from jobyard_server.domain.state import Counters, State
from jobyard_server.usecases import change_jobs as module
from jobyard_server.usecases.change_jobs import Changed, Selection, cancel_jobs, delete_jobs, retry_jobs
from support.storing import new_job, pieces, refusal


async def submitted(store, count=1, **changes):
    return [one.job.number for one in await store.submit_many([new_job(**changes) for _ in range(count)])]


async def states(store, numbers):
    jobs = [await store.read.job(number, api=None, tenant=None) for number in numbers]
    return [None if job is None else job.state for job in jobs]


async def ended(store, hand, outcome=Outcome.FAILED, **changes):
    (number,) = await submitted(store, **changes)
    (lease,) = await hand.take()
    await hand.end(lease.token, outcome)
    return number


async def test_what_matches_and_has_not_ended_is_cancelled_and_nothing_else(store, ann, hand):
    done = await ended(store, hand, Outcome.SUCCEEDED)
    failed = await ended(store, hand)
    runs, *waiting = await submitted(store, 3)
    await hand.take()
    (other,) = await submitted(store, queue="other")
    answer = await cancel_jobs(store, ann, Selection("queue = default"), message="enough")
    assert answer == Changed(3, 3, more=False)
    assert await states(store, [done, failed, runs, *waiting, other]) == [
        *(State.SUCCEEDED, State.FAILED, State.CANCELLING),
        *(State.CANCELLED, State.CANCELLED, State.PENDING),
    ]
    asked = await store.read.events(after=0, limit=100, job=waiting[0])
    assert [(one.actor, one.request_id, one.message) for one in asked if one.type is EventType.CANCEL_REQUESTED] == [
        ("ann", "r1", "enough")
    ]
    assert await cancel_jobs(store, ann, Selection("queue = default")) == Changed(0, 0, more=False)


async def test_what_failed_runs_again_and_what_succeeded_of_it_does_not(store, ann, hand):
    failed = await ended(store, hand)
    (partly,) = await submitted(store, subjobs=pieces(2))
    good, bad = await hand.take(limit=2)
    await hand.end(good.token)
    await hand.end(bad.token, Outcome.FAILED)
    (cancelled,) = await submitted(store)
    await cancel_jobs(store, ann, Selection(f"number = {cancelled}"))
    assert await retry_jobs(store, ann, Selection("queue = default")) == Changed(2, 2, more=False)
    assert await states(store, [failed, partly, cancelled]) == [State.PENDING, State.RUNNING, State.CANCELLED]
    job = await store.read.job(partly, api=None, tenant=None)
    assert job.counters == Counters(pending=1, succeeded=1)


async def test_what_has_ended_is_deleted_and_the_rest_by_force(store, ann, hand):
    failed = await ended(store, hand)
    (waits,) = await submitted(store)
    assert await delete_jobs(store, ann, Selection("queue = default")) == Changed(1, 1, more=False)
    assert await states(store, [failed, waits]) == [None, State.PENDING]
    assert await delete_jobs(store, ann, Selection("queue = default"), force=True) == Changed(1, 1, more=False)
    assert await states(store, [waits]) == [None]


@pytest.mark.parametrize("verb", [cancel_jobs, retry_jobs, delete_jobs])
async def test_a_dry_run_only_counts(store, ann, hand, verb):
    numbers = [await ended(store, hand), *await submitted(store)]
    before = await states(store, numbers)
    _, head = await store.read.event_bounds()
    assert await verb(store, ann, Selection("queue = default", dry_run=True)) == Changed(1, 0, more=False)
    assert await states(store, numbers) == before
    assert (await store.read.event_bounds())[1] == head


@pytest.mark.parametrize("verb", [cancel_jobs, retry_jobs, delete_jobs])
async def test_nothing_is_changed_when_another_number_matches(store, ann, hand, verb):
    numbers = [await ended(store, hand), *await submitted(store)]
    before = await states(store, numbers)
    refused = await refusal(verb(store, ann, Selection("queue = default", expected=2)))
    assert (refused.reason, refused.metadata) == (Reason.COUNT_MISMATCH, {"count": "1"})
    assert await states(store, numbers) == before
    assert (await verb(store, ann, Selection("queue = default", expected=1))).changed == 1


async def test_many_are_changed_step_by_step_up_to_the_limit(store, ann, monkeypatch):
    monkeypatch.setattr(module, "STEP", 4)
    numbers = await submitted(store, 11)
    assert await cancel_jobs(store, ann, Selection("state = PENDING", limit=6)) == Changed(11, 6, more=True)
    assert (await states(store, numbers)).count(State.CANCELLED) == 6
    assert await cancel_jobs(store, ann, Selection("state = PENDING", limit=6)) == Changed(5, 5, more=False)
    assert await states(store, numbers) == [State.CANCELLED] * 11


async def test_what_does_not_match_any_more_is_left_alone(store, ann, monkeypatch):
    """Between the look and the change somebody is faster."""
    first, second = await submitted(store, 2)
    run = store.run

    async def overtaken(closure, **rest):
        await run(lambda tx: tx.change_job(tx.job(first, api=None, tenant=None), labels={"keep": "yes"}))
        return await run(closure, **rest)

    monkeypatch.setattr(store, "run", overtaken)
    selection = Selection("NOT labels.keep = yes")
    assert await cancel_jobs(store, ann, selection) == Changed(2, 1, more=False)
    assert await states(store, [first, second]) == [State.PENDING, State.CANCELLED]


async def test_other_tenants_are_neither_counted_nor_changed(store, ann, stranger):
    (number,) = await submitted(store)
    assert await cancel_jobs(store, stranger, Selection("state = PENDING")) == Changed(0, 0, more=False)
    assert await states(store, [number]) == [State.PENDING]


async def test_an_api_changes_its_own_jobs_by_conditions_of_its_own(store, sample):
    (foreign,) = await submitted(store)
    (red,) = await submitted(store, api="sample", attributes={"colour": "red"})
    (blue,) = await submitted(store, api="sample", attributes={"colour": "blue"})
    selection = Selection("", where=Comparison("colour", Op.EQ, "red"))
    assert await cancel_jobs(store, sample, selection) == Changed(1, 1, more=False)
    assert await states(store, [foreign, red, blue]) == [State.PENDING, State.CANCELLED, State.PENDING]


@pytest.mark.parametrize(("text", "reason"), [("", Reason.INVALID_FIELD), ("colour = red", Reason.INVALID_FILTER)])
@pytest.mark.parametrize("verb", [cancel_jobs, retry_jobs, delete_jobs])
async def test_a_filter_has_to_be_said_and_to_be_one(store, ann, verb, text, reason):
    (number,) = await submitted(store)
    assert (await refusal(verb(store, ann, Selection(text)))).reason is reason
    assert await states(store, [number]) == [State.PENDING]
