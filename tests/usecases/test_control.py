"""Cancel, suspend, resume, retry and delete: what each does to what waits, runs and has ended."""

import pytest

from jobyard_server.domain.event import EventType
from jobyard_server.domain.job import Outcome
from jobyard_server.domain.reason import Reason
from jobyard_server.domain.state import Counters, Mode, State
from jobyard_server.usecases.cancel_job import cancel_job
from jobyard_server.usecases.delete_job import delete_job
from jobyard_server.usecases.get_job import get_job
from jobyard_server.usecases.ports import Directive
from jobyard_server.usecases.resume_job import resume_job
from jobyard_server.usecases.retry_job import retry_job
from jobyard_server.usecases.suspend_job import suspend_job
from support.storing import new_job, pieces, refusal

VERBS = [cancel_job, suspend_job, resume_job, retry_job, delete_job, get_job]


async def submitted(store, **changes):
    return (await store.submit(new_job(**changes))).job


async def ended(store, hand, outcome=Outcome.FAILED, **changes):
    job = await submitted(store, **changes)
    (lease,) = await hand.take()
    await hand.end(lease.token, outcome)
    return await store.read.job(job.number, api=None, tenant=None)


async def types_of(store, job):
    return [event.type for event in await store.read.events(after=0, limit=100, job=job.number)]


# --- all of them ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("ref", [99, "99", "no-such-uid", "", "a\0b"])
async def test_a_job_has_to_be_there(store, ann, verb, ref):
    refused = await refusal(verb(store, ann, ref))
    assert refused.reason is Reason.JOB_NOT_FOUND
    assert refused.metadata == {"job": str(ref)}


@pytest.mark.parametrize("verb", VERBS)
async def test_a_job_of_another_tenant_does_not_exist(store, ann, stranger, verb):
    job = await submitted(store)
    assert (await refusal(verb(store, stranger, job.number))).reason is Reason.JOB_NOT_FOUND
    assert await get_job(store, ann, job.number) == job


@pytest.mark.parametrize("verb", VERBS)
async def test_a_job_of_another_api_does_not_exist_but_for_jobs_v1(store, ann, sample, verb):
    job = await submitted(store)
    assert (await refusal(verb(store, sample, job.uid))).reason is Reason.JOB_NOT_FOUND
    assert await get_job(store, ann, job.uid) == job


async def test_an_operator_sees_all_tenants(store, operator):
    job = await submitted(store)
    assert await get_job(store, operator, job.number) == job
    assert (await cancel_job(store, operator, job.number)).state is State.CANCELLED


@pytest.mark.parametrize("verb", VERBS[:-1])
async def test_somebody_elses_change_is_not_overwritten(store, ann, verb):
    job = await submitted(store)
    refused = await refusal(verb(store, ann, job.number, revision=job.revision + 1))
    assert refused.reason is Reason.ETAG_MISMATCH
    assert await get_job(store, ann, job.number) == job


# --- cancel --------------------------------------------------------------------------------------------------------


async def test_what_waits_is_cancelled_at_once(store, ann):
    job = await submitted(store, subjobs=pieces(2))
    cancelled = await cancel_job(store, ann, job.uid, message="enough")
    assert (cancelled.state, cancelled.counters) == (State.CANCELLED, Counters(cancelled=2))
    assert (cancelled.reason, cancelled.message) == ("CANCELLED_BY_USER", "enough")
    assert cancelled.control.cancel_requested
    events = await store.read.events(after=0, limit=100, job=job.number)
    asked = next(event for event in events if event.type is EventType.CANCEL_REQUESTED)
    assert (asked.actor, asked.request_id, asked.message) == ("ann", "r1", "enough")
    assert {event.actor for event in events[1:]} == {"ann"}


async def test_what_runs_is_told_and_has_its_time(store, ann, hand):
    job = await submitted(store, subjobs=pieces(2))
    (lease,) = await hand.take()
    assert (await cancel_job(store, ann, job.number)).state is State.CANCELLING
    assert await hand.take() == ()
    assert (await hand.beat(lease.token)).directives == (Directive.CANCEL,)
    assert (await hand.end(lease.token, Outcome.CANCELLED)).job_state is State.CANCELLED


async def test_work_that_ends_before_it_is_told_keeps_its_outcome(store, ann, hand):
    job = await submitted(store)
    (lease,) = await hand.take()
    await cancel_job(store, ann, job.number, message="enough")
    assert (await hand.end(lease.token)).job_state is State.SUCCEEDED
    ended = await get_job(store, ann, job.number)
    assert (ended.state, ended.reason, ended.message) == (State.SUCCEEDED, "", "")
    (told,) = (await store.read.events(after=0, limit=100, job=job.number))[-1:]
    assert (told.type, told.reason, told.message) == (EventType.JOB_CHANGED, "", "")


async def test_cancelling_again_changes_nothing(store, ann, hand):
    job = await submitted(store)
    await hand.take()
    first = await cancel_job(store, ann, job.number)
    assert await cancel_job(store, ann, job.number, message="again") == first
    assert (await types_of(store, job)).count(EventType.CANCEL_REQUESTED) == 1


@pytest.mark.parametrize("outcome", [Outcome.SUCCEEDED, Outcome.FAILED])
async def test_what_has_ended_stays_as_it_is(store, ann, hand, outcome):
    job = await ended(store, hand, outcome)
    assert await cancel_job(store, ann, job.number) == job


async def test_a_failed_job_that_could_go_on_is_given_up(store, ann, hand):
    job = await ended(store, hand, resumable=True)
    assert (job.state, job.resumable, job.terminal) == (State.FAILED, True, False)
    given_up = await cancel_job(store, ann, job.number)
    assert (given_up.state, given_up.terminal) == (State.CANCELLED, True)


async def test_a_standing_job_ends_by_cancel(store, ann, hand):
    job = await submitted(store, mode=Mode.STANDING)
    (lease,) = await hand.take()
    assert (await cancel_job(store, ann, job.number)).state is State.CANCELLING
    assert (await hand.end(lease.token, Outcome.CANCELLED)).job_state is State.CANCELLED


# --- suspend and resume --------------------------------------------------------------------------------------------


async def test_a_suspended_job_is_not_handed_out_until_it_is_resumed(store, ann, hand):
    job = await submitted(store, subjobs=pieces(2))
    suspended = await suspend_job(store, ann, job.number, message="later")
    assert (suspended.state, suspended.counters, suspended.message) == (State.SUSPENDED, Counters(suspended=2), "later")
    assert await hand.take() == ()
    resumed = await resume_job(store, ann, job.number)
    assert (resumed.state, resumed.counters, resumed.reason) == (State.PENDING, Counters(pending=2), "")
    assert len(await hand.take(limit=5)) == 2


async def test_running_work_is_told_to_suspend_and_waits_once_given_back(store, ann, hand):
    job = await submitted(store)
    (lease,) = await hand.take()
    assert (await suspend_job(store, ann, job.number)).state is State.RUNNING
    assert (await hand.beat(lease.token)).directives == (Directive.SUSPEND,)
    assert (await hand.end(lease.token, Outcome.RELEASED)).job_state is State.SUSPENDED
    assert await hand.take() == ()
    await resume_job(store, ann, job.number)
    assert len(await hand.take()) == 1


async def test_suspending_and_resuming_again_change_nothing(store, ann):
    job = await submitted(store)
    assert await resume_job(store, ann, job.number) == job
    suspended = await suspend_job(store, ann, job.number)
    assert await suspend_job(store, ann, job.number) == suspended


@pytest.mark.parametrize("verb", [suspend_job, resume_job])
async def test_what_has_ended_is_neither_suspended_nor_resumed(store, ann, hand, verb):
    job = await ended(store, hand)
    refused = await refusal(verb(store, ann, job.number))
    assert refused.reason is Reason.JOB_FINISHED
    assert refused.metadata == {"job": str(job.number), "state": "FAILED"}


async def test_a_failed_job_that_may_go_on_does(store, ann, hand):
    job = await ended(store, hand, resumable=True)
    assert (await resume_job(store, ann, job.number)).state is State.PENDING
    (lease,) = await hand.take()
    assert (await hand.end(lease.token)).job_state is State.SUCCEEDED


async def test_a_cancelled_suspended_job_is_cancelled(store, ann):
    job = await submitted(store)
    await suspend_job(store, ann, job.number)
    assert (await cancel_job(store, ann, job.number)).state is State.CANCELLED


# --- retry ---------------------------------------------------------------------------------------------------------


async def test_only_what_did_not_succeed_runs_again(store, ann, hand):
    job = await submitted(store, subjobs=pieces(3))
    outcomes = (Outcome.SUCCEEDED, Outcome.FAILED, Outcome.PARTIALLY_FAILED)
    for lease, outcome in zip(await hand.take(limit=3), outcomes, strict=True):
        await hand.end(lease.token, outcome)
    assert (await get_job(store, ann, job.number)).state is State.PARTIALLY_FAILED
    retried = await retry_job(store, ann, job.number)
    assert (retried.state, retried.counters) == (State.RUNNING, Counters(pending=2, succeeded=1))
    assert (retried.reason, retried.finished_at) == ("", None)
    for lease in await hand.take(limit=3):
        assert lease.attempt == 2
        await hand.end(lease.token)
    assert (await get_job(store, ann, job.number)).state is State.SUCCEEDED


async def test_a_cancelled_job_is_retried_as_if_nobody_had_cancelled(store, ann):
    job = await submitted(store)
    await cancel_job(store, ann, job.number)
    retried = await retry_job(store, ann, job.number)
    assert (retried.state, retried.control.cancel_requested) == (State.PENDING, False)


async def test_a_schedule_that_was_cancelled_is_not_retried(store, ann):
    job = await submitted(store, mode=Mode.SCHEDULED, subjobs=())
    await cancel_job(store, ann, job.number)
    refused = await refusal(retry_job(store, ann, job.number))
    assert refused.reason is Reason.STATE_CONFLICT
    assert "is a schedule, which is not retried" in refused.message


async def test_what_has_not_ended_cannot_be_retried(store, ann):
    job = await submitted(store)
    assert (await refusal(retry_job(store, ann, job.number))).reason is Reason.JOB_NOT_FINISHED


async def test_what_succeeded_cannot_be_retried(store, ann, hand):
    job = await ended(store, hand, Outcome.SUCCEEDED)
    assert (await refusal(retry_job(store, ann, job.number))).reason is Reason.STATE_CONFLICT


async def test_one_piece_is_retried_while_the_others_go_on(store, ann, hand):
    job = await submitted(store, subjobs=pieces(3))
    first, second, _ = await hand.take(limit=3)
    await hand.end(first.token, Outcome.FAILED)
    await hand.end(second.token, Outcome.FAILED)
    retried = await retry_job(store, ann, job.number, ordinals=[1], message="the disk is back")
    assert (retried.state, retried.counters) == (State.RUNNING, Counters(pending=1, running=1, failed=1))
    assert retried.message == "the disk is back"
    (lease,) = await hand.take(limit=3)
    assert (lease.subjob.ordinal, lease.attempt) == (1, 2)
    events = await store.read.events(after=0, limit=100, job=job.number)
    (asked,) = [event for event in events if event.type is EventType.RETRY_REQUESTED]
    assert (asked.actor, asked.message) == ("ann", "the disk is back")


async def test_a_piece_of_a_suspended_job_waits_for_the_job(store, ann, hand):
    job = await submitted(store, subjobs=pieces(2))
    (lease,) = await hand.take()
    await suspend_job(store, ann, job.number)
    await hand.end(lease.token, Outcome.FAILED)
    retried = await retry_job(store, ann, job.number, ordinals=[0])
    assert (retried.state, retried.counters) == (State.SUSPENDED, Counters(suspended=2))
    assert await hand.take() == ()


@pytest.mark.parametrize(
    ("ordinals", "reason"),
    [([0], Reason.STATE_CONFLICT), ([1], Reason.STATE_CONFLICT), ([2], Reason.SUBJOB_NOT_FOUND)],
    ids=["succeeded", "waiting", "missing"],
)
async def test_only_pieces_that_ended_without_success_are_retried(store, ann, hand, ordinals, reason):
    job = await submitted(store, subjobs=pieces(2))
    (lease,) = await hand.take()
    await hand.end(lease.token)
    before = await get_job(store, ann, job.number)
    assert (await refusal(retry_job(store, ann, job.number, ordinals=ordinals))).reason is reason
    assert await get_job(store, ann, job.number) == before


async def test_no_piece_of_a_job_that_is_being_cancelled_is_retried(store, ann, hand):
    job = await submitted(store, subjobs=pieces(2))
    first, _ = await hand.take(limit=2)
    await hand.end(first.token, Outcome.FAILED)
    await cancel_job(store, ann, job.number)
    refused = await refusal(retry_job(store, ann, job.number, ordinals=[0]))
    assert refused.reason is Reason.JOB_NOT_FINISHED


# --- delete --------------------------------------------------------------------------------------------------------


async def test_what_has_ended_is_deleted(store, ann, hand):
    job = await ended(store, hand)
    assert await delete_job(store, ann, job.number) == job
    assert (await refusal(get_job(store, ann, job.number))).reason is Reason.JOB_NOT_FOUND
    assert (await types_of(store, job))[-1] is EventType.JOB_DELETED


async def test_what_has_not_ended_is_deleted_only_by_force(store, ann, hand):
    job = await submitted(store)
    (lease,) = await hand.take()
    refused = await refusal(delete_job(store, ann, job.number))
    assert refused.reason is Reason.JOB_NOT_FINISHED
    await delete_job(store, ann, job.number, force=True)
    assert (await hand.beat(lease.token)).directives == (Directive.LOST,)
