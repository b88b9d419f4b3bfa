"""Changes of jobs and subjobs in transactions: the job follows, events tell it, leases are fenced."""

import asyncio
from dataclasses import replace

import pytest

from jobyard_server.domain.event import EventType
from jobyard_server.domain.job import NewSubjob, Outcome
from jobyard_server.domain.reason import Reason, refuse
from jobyard_server.domain.state import Actor, Counters, Mode, State
from jobyard_server.usecases.ports import AppendLog, Directive, JobQuery
from support.storing import key, new_job, pieces, refusal


async def submitted(store, **changes):
    return (await store.submit(new_job(**changes))).job


async def events_of(store, job):
    return await store.read.events(after=0, limit=100, job=job.number)


async def read(store, job):
    return await store.read.job(job.number, api=None, tenant=None)


def moving(job, *ways, actor=Actor.USER, **told):
    """A closure that takes subjobs, by ordinal, to states, and folds their job."""

    def closure(tx):
        subjobs = tx.subjobs(job.number)
        for ordinal, state in ways:
            tx.change_subjob(subjobs[ordinal], state, actor=actor, **told)
        return tx.refold(job)

    return closure


async def test_what_a_closure_returns_is_what_is_stored(store):
    job = await submitted(store, subjobs=pieces(2))
    changed = await store.run(moving(job, (0, State.CANCELLED)))
    assert (changed.state, changed.counters) == (State.RUNNING, Counters(pending=1, cancelled=1))
    assert changed == await read(store, job)


async def test_a_closure_that_raises_leaves_nothing(store):
    job = await submitted(store)

    def closure(tx):
        tx.change_job(job, message="gone", event=EventType.JOB_UPDATED)
        tx.put_record("jobs", "acme", "kind", "id", "{}")
        tx.submit(new_job(external_id="x"))
        raise refuse(Reason.IN_USE, "no")

    assert (await refusal(store.run(closure))).reason is Reason.IN_USE
    assert await read(store, job) == job
    assert await store.read.count_jobs(JobQuery("jobs", None)) == 1
    assert await store.read.record("jobs", "acme", "kind", "id") is None
    assert len(await events_of(store, job)) == 1


async def test_a_closure_that_raises_does_not_disturb_its_neighbours(store):
    job = await submitted(store)

    def bad(tx):
        tx.change_job(job, message="bad")
        raise ZeroDivisionError

    def good(tx):
        return tx.change_job(tx.job(job.number, api=None, tenant=None), display_name="good")

    answers = await asyncio.gather(
        store.run(bad), store.run(good), store.submit(new_job()), store.run(bad), return_exceptions=True
    )
    assert [type(answer) is ZeroDivisionError for answer in answers] == [True, False, False, True]
    after = await read(store, job)
    assert (after.display_name, after.message) == ("good", "")


async def test_every_part_of_a_job_can_be_changed(store):
    job = await submitted(store, api="sample")
    changed = await store.run(
        lambda tx: tx.change_job(
            job,
            control=replace(job.control, suspended=True),
            spec='{"b": 2}',
            attributes={"colour": "red\0", "size": 3, "none": None},
            labels={"team": "blue"},
            display_name="New",
            message="words",
            reason="WORD",
            generation=5,
            event=EventType.JOB_UPDATED,
            by="bob",
            request_id="r9",
        )
    )
    after = await read(store, job)
    # The transaction folds the job once it is over; all else is already told.
    assert after.state is State.SUSPENDED
    assert (changed.revision, changed.updated_at) == (after.revision, after.updated_at)
    for name in ("control", "spec", "labels", "display_name", "message", "reason", "generation"):
        assert getattr(changed, name) == getattr(after, name), name
    assert after.attributes == {"colour": "red\0", "size": 3}
    assert after.revision == job.revision + 1
    told = (await events_of(store, job))[1]
    assert (told.type, told.actor, told.request_id, told.reason, told.message) == (
        EventType.JOB_UPDATED, "bob", "r9", "WORD", "words",
    )  # fmt: skip


async def test_the_end_of_what_has_ended_can_be_put_off(store):
    job = await submitted(store, subjobs=(), expires_after=1.0)
    later = job.expires_at + 1_000_000
    changed = await store.run(lambda tx: tx.change_job(job, expires_at=later))
    assert changed.expires_at == (await read(store, job)).expires_at == later


async def test_a_job_left_unfolded_is_folded_at_the_end(store):
    job = await submitted(store)
    await store.run(lambda tx: tx.change_subjob(tx.subjobs(job.number)[0], State.CANCELLED, actor=Actor.USER))
    assert (await read(store, job)).state is State.CANCELLED
    assert [event.type for event in await events_of(store, job)] == [
        EventType.JOB_SUBMITTED, EventType.SUBJOB_CHANGED, EventType.JOB_CHANGED,
    ]  # fmt: skip


async def test_events_number_the_life_of_a_job_without_a_gap(store):
    job = await submitted(store, subjobs=pieces(3))
    await store.run(moving(job, (0, State.SUSPENDED), (1, State.CANCELLED)))
    await store.run(moving(job, (0, State.PENDING), (2, State.CANCELLED)))
    await store.run(moving(job, (0, State.CANCELLED), by="bob", reason="ENOUGH", message="it is"))
    events = await events_of(store, job)
    after = await read(store, job)
    assert [event.job_seq for event in events] == list(range(1, after.last_event + 1))
    assert events[-1].state is after.state is State.CANCELLED
    told = events[-2]
    assert (told.subjob, told.subjob_state, told.actor, told.reason) == (0, State.CANCELLED, "bob", "ENOUGH")


async def test_an_illegal_change_is_refused(store):
    job = await submitted(store)
    refused = await refusal(store.run(moving(job, (0, State.SUCCEEDED))))
    assert refused.reason is Reason.STATE_CONFLICT
    assert refused.metadata["state"] == "PENDING"
    assert await read(store, job) == job


async def test_only_those_who_may_make_a_change_make_it(store):
    job = await submitted(store)
    assert (await refusal(store.run(moving(job, (0, State.CANCELLED), actor=Actor.WORKER)))).reason is (
        Reason.STATE_CONFLICT
    )


async def test_what_is_ended_from_above_fences_its_worker(store, hand):
    job = await submitted(store)
    (lease,) = await hand.take()
    changed = await store.run(moving(job, (0, State.FAILED), reason="STOPPED", result='{"x":1}'))
    assert changed.state is State.FAILED
    assert (await hand.beat(lease.token)).directives == (Directive.LOST,)
    assert (await refusal(hand.end(lease.token))).reason is Reason.LEASE_LOST
    (subjob,) = await store.read.subjobs(job.number)
    assert (subjob.state, subjob.reason, subjob.result) == (State.FAILED, "STOPPED", '{"x":1}')
    (attempt,) = await store.read.attempts(subjob.id)
    assert (attempt.outcome, attempt.reason) == (Outcome.FENCED, "STOPPED")
    assert attempt.ended_at is not None
    assert EventType.ATTEMPT_ENDED in [event.type for event in await events_of(store, job)]


async def test_cancelling_leaves_the_lease_until_the_worker_has_stopped(store, hand):
    job = await submitted(store)
    (lease,) = await hand.take()
    assert (await store.run(moving(job, (0, State.CANCELLING)))).state is State.RUNNING
    assert (await hand.beat(lease.token)).directives == (Directive.CANCEL,)
    assert (await hand.end(lease.token, Outcome.CANCELLED)).subjob_state is State.CANCELLED


async def test_what_begins_anew_keeps_nothing_and_is_handed_out(store, hand):
    job = await submitted(store)
    (lease,) = await hand.take()
    await hand.end(lease.token, Outcome.FAILED, reason="BROKEN", message="oh", result='"half"')
    await store.run(moving(job, (0, State.PENDING)))
    (subjob,) = await store.read.subjobs(job.number)
    assert (subjob.state, subjob.reason, subjob.message, subjob.result) == (State.PENDING, "", "", "null")
    assert (subjob.attempts, subjob.finished_at) == (0, None)
    (again,) = await hand.take()
    assert again.attempt == lease.attempt + 1


async def test_subjobs_are_added_behind_those_there_are(store, hand):
    job = await submitted(store, subjobs=pieces(1), split_complete=False)
    added = await store.run(lambda tx: tx.add_subjobs(job, (NewSubjob("7", "x"), NewSubjob("8", queue="slow"))))
    assert [subjob.ordinal for subjob in added] == [1, 2]
    assert await store.read.subjobs(job.number, after=0) == added
    assert (await read(store, job)).counters == Counters(pending=3)
    assert len(await hand.take("default", "slow", limit=5)) == 3


async def test_subjobs_of_a_suspended_job_wait_suspended(store):
    job = await submitted(store)

    def closure(tx):
        tx.change_job(job, control=replace(job.control, suspended=True))
        return tx.add_subjobs(job, pieces(1))

    (added,) = await store.run(closure)
    assert added.state is State.SUSPENDED


async def test_nothing_is_added_to_what_is_being_ended(store):
    job = await submitted(store)

    def closure(tx):
        tx.change_job(job, control=replace(job.control, cancel_requested=True))
        tx.add_subjobs(job, pieces(1))

    assert (await refusal(store.run(closure))).reason is Reason.STATE_CONFLICT


async def test_a_split_that_finds_nothing_to_do_succeeds(store):
    job = await submitted(store, subjobs=(), split_complete=False)
    assert job.state is State.PENDING
    done = await store.run(lambda tx: tx.refold(tx.change_job(job, control=replace(job.control, split_complete=True))))
    assert done.state is State.SUCCEEDED
    assert done.finished_at is not None


async def test_a_standing_job_runs_while_somebody_runs_its_generation(store, hand):
    job = await submitted(store, mode=Mode.STANDING)
    assert job.state is State.SUSPENDED
    await hand.take()
    assert (await read(store, job)).state is State.RUNNING
    changed = await store.run(lambda tx: tx.refold(tx.change_job(job, generation=2)))
    assert (changed.state, changed.control.running_now) == (State.SUSPENDED, 0)


@pytest.mark.parametrize("ref", ["number", "uid", "external_id"])
async def test_a_job_is_found_within_its_scope(store, ref):
    job = await submitted(store, api="sample", external_id="order-1")
    name = getattr(job, ref)

    def found(api, tenant):
        return store.run(lambda tx: tx.job(name, api=api, tenant=tenant))

    assert await found("sample", "acme") == job
    assert await found("sample", None) == job
    assert await found("jobs", "acme") is None
    assert await found("sample", "other") is None
    assert (await found(None, "acme") == job) == (ref != "external_id")
    assert await store.read.job(name, api="sample", tenant="acme") == job


async def test_a_number_that_cannot_be_is_no_job(store):
    for number in (0, -1, 2**63, 10**30):
        assert await store.read.job(number, api=None, tenant=None) is None


async def test_a_deleted_job_leaves_only_its_events(store, hand):
    job = await submitted(store, external_id="order-1", key=key("k"))
    (lease,) = await hand.take()
    await store.append_log(AppendLog(lease.token, hand.principal, 0, b"line"))
    await store.run(lambda tx: tx.delete_job(tx.job(job.number, api=None, tenant=None), by="bob", request_id="r"))
    assert await read(store, job) is None
    assert await store.read.subjobs(job.number) == []
    assert await store.read.attempts(lease.subjob.id) == []
    assert await store.read.log(lease.subjob.id, 1, offset=0, limit=10) == (b"", 0)
    assert (await refusal(hand.end(lease.token))).reason is Reason.LEASE_LOST
    assert (await hand.beat(lease.token)).directives == (Directive.LOST,)
    events = await events_of(store, job)
    assert (events[-1].type, events[-1].actor) == (EventType.JOB_DELETED, "bob")
    assert [event.job_seq for event in events] == list(range(1, len(events) + 1))
    again = await store.submit(new_job(external_id="order-1", key=key("k")))
    assert not again.replayed
    assert again.job.number != job.number


async def test_a_submit_inside_a_transaction_is_refused_as_outside(store):
    await submitted(store, external_id="order-1")
    refused = await refusal(store.run(lambda tx: tx.submit(new_job(external_id="order-1"))))
    assert refused.reason is Reason.ALREADY_EXISTS


async def test_what_a_transaction_submits_it_can_change(store):
    def closure(tx):
        job = tx.submit(new_job(subjobs=pieces(2))).job
        tx.change_subjob(tx.subjobs(job.number)[0], State.CANCELLED, actor=Actor.USER)
        return tx.refold(job)

    job = await store.run(closure)
    assert (job.state, job.counters) == (State.RUNNING, Counters(pending=1, cancelled=1))
    assert await read(store, job) == job


async def test_time_and_identifiers_come_from_the_transaction(store):
    now, one, other = await store.run(lambda tx: (tx.now, tx.new_uid(), tx.new_uid()))
    later = await store.run(lambda tx: tx.now)
    assert one != other
    assert now <= later


async def test_what_is_noted_about_a_subjob_changes_neither_its_state_nor_what_is_told(store):
    job = await submitted(store)
    told = len(await events_of(store, job))
    await store.run(lambda tx: tx.note_subjob(tx.subjobs(job.number)[0], result='{"at":1}', message="seen"))
    (subjob,) = await store.read.subjobs(job.number)
    assert (subjob.state, subjob.result, subjob.message, subjob.reason) == (State.PENDING, '{"at":1}', "seen", "")
    assert len(await events_of(store, job)) == told
