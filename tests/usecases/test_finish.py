"""An authority ends a job: at once, whatever its workers do."""

import pytest

from jobyard_server.domain.event import EventType
from jobyard_server.domain.job import Outcome
from jobyard_server.domain.reason import Reason
from jobyard_server.domain.state import Counters, Mode, State
from jobyard_server.usecases.cancel_job import cancel_job
from jobyard_server.usecases.finish_job import ENDS, finish_job
from jobyard_server.usecases.get_job import get_job
from jobyard_server.usecases.ports import Directive
from jobyard_server.usecases.resume_job import resume_job
from jobyard_server.usecases.retry_job import retry_job
from support.storing import new_job, pieces, refusal

FORBIDDEN = sorted(set(State) - ENDS)


async def submitted(store, **changes):
    return (await store.submit(new_job(**changes))).job


@pytest.mark.parametrize("state", sorted(ENDS))
async def test_what_runs_ends_as_it_is_told_and_its_worker_is_fenced_off(store, ann, hand, state):
    job = await submitted(store)
    (lease,) = await hand.take()
    done = await finish_job(store, ann, job.uid, state, reason="TOLD", message="so it is", result='{"a": 1}')
    assert (done.state, done.reason, done.message, done.terminal) == (state, "TOLD", "so it is", True)
    assert done.finished_at is not None
    (subjob,) = await store.read.subjobs(job.number)
    assert (subjob.state, subjob.result) == (state, '{"a": 1}')
    (attempt,) = await store.read.attempts(subjob.id)
    assert (attempt.outcome, attempt.reason) == (Outcome.FENCED, "TOLD")
    assert (await hand.beat(lease.token)).directives == (Directive.LOST,)
    for outcome in (Outcome.SUCCEEDED, Outcome.FAILED, Outcome.RELEASED):
        assert (await refusal(hand.end(lease.token, outcome))).reason is Reason.LEASE_LOST
    assert await get_job(store, ann, job.number) == done


async def test_what_never_began_is_cancelled_and_what_has_ended_keeps_its_end(store, ann, hand):
    job = await submitted(store, subjobs=pieces(4))
    first, second, _ = await hand.take(limit=3)
    await hand.end(first.token)
    await hand.end(second.token, Outcome.FAILED, reason="BROKEN")
    done = await finish_job(store, ann, job.number, State.SUCCEEDED)
    assert done.state is State.SUCCEEDED
    assert done.counters == Counters(succeeded=2, failed=1, cancelled=1)
    assert await hand.take() == ()


async def test_a_job_that_is_being_cancelled_is_finished(store, ann, hand):
    job = await submitted(store)
    await hand.take()
    await cancel_job(store, ann, job.number)
    assert (await finish_job(store, ann, job.number, State.FAILED)).state is State.FAILED


@pytest.mark.parametrize("mode", [Mode.STANDING, Mode.ONCE])
async def test_every_mode_ends(store, ann, mode):
    job = await submitted(store, mode=mode)
    assert (await finish_job(store, ann, job.number, State.CANCELLED)).state is State.CANCELLED


async def test_it_is_told_in_one_event_with_who_did_it(store, ann, hand):
    job = await submitted(store)
    await hand.take()
    await finish_job(store, ann, job.number, State.FAILED, reason="TOLD")
    events = await store.read.events(after=0, limit=100, job=job.number)
    assert [event.type for event in events[-3:]] == [
        EventType.FINISH_REQUESTED,
        EventType.ATTEMPT_ENDED,
        EventType.JOB_CHANGED,
    ]
    assert {(event.actor, event.request_id, event.reason) for event in events[-3:]} == {("ann", "r1", "TOLD")}
    assert [event.job_seq for event in events] == list(range(1, len(events) + 1))


async def test_the_job_is_changed_in_the_same_transaction(store, sample):
    job = await submitted(store, api="sample")
    done = await finish_job(store, sample, job.number, State.FAILED, spec='{"b":2}', attributes={"colour": "red"})
    assert (done.spec, done.attributes) == ('{"b":2}', {"colour": "red"})


@pytest.mark.parametrize("state", sorted(ENDS))
async def test_what_has_ended_is_refused(store, ann, hand, state):
    job = await submitted(store)
    await finish_job(store, ann, job.number, State.SUCCEEDED)
    refused = await refusal(finish_job(store, ann, job.number, state))
    assert (refused.reason, refused.metadata) == (
        Reason.JOB_FINISHED,
        {"job": str(job.number), "state": "SUCCEEDED"},
    )


@pytest.mark.parametrize("state", FORBIDDEN)
async def test_only_ends_can_be_said(store, ann, state):
    job = await submitted(store)
    refused = await refusal(finish_job(store, ann, job.number, state))
    assert refused.reason is Reason.INVALID_FIELD
    assert refused.violations[0].field == "state"
    assert await get_job(store, ann, job.number) == job


async def test_a_stranger_finishes_nothing(store, ann, stranger):
    job = await submitted(store)
    assert (await refusal(finish_job(store, stranger, job.number, State.FAILED))).reason is Reason.JOB_NOT_FOUND
    refused = await refusal(finish_job(store, ann, job.number, State.FAILED, revision=job.revision + 1))
    assert refused.reason is Reason.ETAG_MISMATCH
    assert await get_job(store, ann, job.number) == job


async def test_what_was_finished_can_be_retried_and_then_ends_by_itself(store, ann, hand):
    job = await submitted(store, subjobs=pieces(2))
    await hand.take()
    await finish_job(store, ann, job.number, State.FAILED)
    assert (await retry_job(store, ann, job.number)).counters == Counters(pending=2)
    for lease in await hand.take(limit=2):
        await hand.end(lease.token)
    assert (await get_job(store, ann, job.number)).state is State.SUCCEEDED


async def test_what_failed_so_and_may_go_on_goes_on_whole(store, ann, hand):
    job = await submitted(store, subjobs=pieces(2), resumable=True)
    await hand.take()
    failed = await finish_job(store, ann, job.number, State.FAILED)
    assert (failed.state, failed.terminal) == (State.FAILED, False)
    assert (await resume_job(store, ann, job.number)).counters == Counters(pending=2)


async def test_what_failed_so_and_may_go_on_can_be_given_up(store, ann, hand):
    job = await submitted(store, resumable=True)
    await hand.take()
    await finish_job(store, ann, job.number, State.FAILED)
    assert (await cancel_job(store, ann, job.number)).state is State.CANCELLED
