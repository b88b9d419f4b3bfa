"""Heartbeat and settle: what a worker is told, what it may end, and what becomes of what it ends."""

import asyncio

import pytest

from jobyard_server.domain.event import EventType
from jobyard_server.domain.job import NewSubjob, Outcome, RetryPolicy
from jobyard_server.domain.reason import Reason
from jobyard_server.domain.state import Mode, State
from jobyard_server.usecases.ports import Directive
from support.storing import Hand, new_job, pieces, refusal


async def leased(store, hand, **changes):
    await store.submit(new_job(**changes))
    (lease,) = await hand.take()
    return lease


async def test_a_heartbeat_prolongs_the_session(store, hand):
    lease = await leased(store, hand)
    await asyncio.sleep(0.01)
    beaten = await hand.beat(lease.token)
    assert beaten.directives == (Directive.GO_ON,)
    assert beaten.expires_at > lease.expires_at


async def test_an_unknown_session_is_refused(store, hand):
    lease = await leased(store, hand)
    assert (await refusal(Hand(store, "other").beat(lease.token))).reason is Reason.SESSION_UNKNOWN
    stranger = Hand(store, hand.session, principal="stranger")
    assert (await refusal(stranger.beat(lease.token))).reason is Reason.SESSION_UNKNOWN


async def test_tokens_that_are_not_ones_own_are_lost(store, hand):
    lease = await leased(store, hand)
    other = Hand(store, "s2")
    theirs = await leased(store, other)
    subjob, attempt, secret = lease.token.split(".")
    forged = [
        f"{subjob}.{attempt}.{'0' * 24}",
        f"{subjob}.2.{secret}",
        f"9999.{attempt}.{secret}",
        f"{10**18}.{10**9}.{secret}",
        "",
        "nonsense",
        lease.token + " ",
        lease.token.upper() + ".",
    ]
    beaten = await hand.beat(lease.token, theirs.token, *forged)
    assert beaten.directives == (Directive.GO_ON, *[Directive.LOST] * (len(forged) + 1))
    for token in (*forged,):
        assert (await refusal(hand.end(token))).reason is Reason.LEASE_LOST


async def test_a_stolen_token_is_worth_nothing_to_another_principal(store, hand):
    lease = await leased(store, hand)
    thief = Hand(store, principal="thief")
    assert (await refusal(thief.end(lease.token))).reason is Reason.LEASE_LOST
    assert (await hand.end(lease.token)).job_state is State.SUCCEEDED


async def test_progress_words_become_the_message_of_the_subjob(store, hand):
    lease = await leased(store, hand)
    await hand.beat(lease.token, messages={lease.token: "half way", "1.1.x": "ignored"})
    (subjob,) = await store.read.subjobs(lease.job.number)
    assert subjob.message == "half way"


async def test_success(store, hand):
    lease = await leased(store, hand)
    settled = await hand.end(lease.token, result='{"n": 1}', message="fine", exit_code=0)
    assert (settled.job, settled.subjob_state, settled.job_state) == (
        lease.job.number,
        State.SUCCEEDED,
        State.SUCCEEDED,
    )
    job = await store.read.job(lease.job.number, api=None, tenant=None)
    assert (job.state, job.counters.succeeded, job.counters.total, job.terminal) == (State.SUCCEEDED, 1, 1, True)
    assert job.finished_at >= job.started_at >= job.created_at
    (subjob,) = await store.read.subjobs(job.number)
    assert (subjob.result, subjob.message, subjob.finished_at) == ('{"n": 1}', "fine", job.finished_at)
    (attempt,) = await store.read.attempts(subjob.id)
    assert (attempt.outcome, attempt.exit_code, attempt.ended_at) == (Outcome.SUCCEEDED, 0, job.finished_at)
    told = [(event.type, event.state) for event in await store.read.events(after=0, limit=10)][3:]
    assert told == [(EventType.ATTEMPT_ENDED, State.RUNNING), (EventType.JOB_CHANGED, State.SUCCEEDED)]


async def test_the_same_settle_sent_twice_is_answered_the_same(store, hand):
    lease = await leased(store, hand, subjobs=pieces(2))
    first = await hand.end(lease.token)
    head = (await store.read.event_bounds())[1]
    (other,) = await hand.take()
    await hand.end(other.token)
    assert await hand.end(lease.token) == first
    assert first.job_state is State.RUNNING
    assert head + 3 == (await store.read.event_bounds())[1]
    twice = await asyncio.gather(hand.end(lease.token), hand.end(lease.token))
    assert twice == [first, first]


async def test_an_ended_attempt_cannot_end_otherwise(store, hand):
    lease = await leased(store, hand)
    await hand.end(lease.token)
    assert (await refusal(hand.end(lease.token, Outcome.FAILED))).reason is Reason.LEASE_LOST
    assert (await hand.beat(lease.token)).directives == (Directive.LOST,)


async def test_two_outcomes_at_once_leave_one(store, hand):
    lease = await leased(store, hand)
    done, lost = await asyncio.gather(hand.end(lease.token), refusal(hand.end(lease.token, Outcome.FAILED)))
    assert (done.job_state, lost.reason) == (State.SUCCEEDED, Reason.LEASE_LOST)


async def test_failure_without_attempts_left(store, hand):
    lease = await leased(store, hand, resumable=True, expires_after=60.0)
    settled = await hand.end(lease.token, Outcome.FAILED, reason="EXIT", message="code 3", exit_code=3)
    assert settled.job_state is State.FAILED
    job = await store.read.job(lease.job.number, api=None, tenant=None)
    assert (job.reason, job.message, job.resumable, job.terminal) == ("EXIT", "code 3", True, False)
    assert job.expires_at == job.finished_at + 60_000_000


async def test_failure_with_attempts_left_waits_and_runs_again(store, hand):
    policy = RetryPolicy(max_attempts=3, initial_backoff=0.05, multiplier=1.0)
    lease = await leased(store, hand, retry=policy)
    settled = await hand.end(lease.token, Outcome.FAILED, reason="EXIT")
    assert (settled.subjob_state, settled.job_state) == (State.PENDING, State.PENDING)
    assert await hand.take() == ()
    (subjob,) = await store.read.subjobs(lease.job.number)
    assert 25_000 <= subjob.wake_at - subjob.updated_at <= 50_000
    await asyncio.sleep(0.06)
    assert await store.wake_due() == 1
    (again,) = await hand.take()
    assert (again.attempt, again.subjob.attempts, again.subjob.reason) == (2, 2, "")
    assert (await refusal(hand.end(lease.token))).reason is Reason.LEASE_LOST
    await hand.end(again.token, Outcome.FAILED)
    await asyncio.sleep(0.06)
    await store.wake_due()
    (last,) = await hand.take()
    assert (await hand.end(last.token, Outcome.FAILED)).job_state is State.FAILED
    outcomes = [attempt.outcome for attempt in await store.read.attempts(subjob.id)]
    assert outcomes == [Outcome.FAILED] * 3


async def test_some_reasons_are_not_tried_again(store, hand):
    policy = RetryPolicy(max_attempts=100, non_retryable=frozenset({"BAD_INPUT"}))
    lease = await leased(store, hand, retry=policy)
    assert (await hand.end(lease.token, Outcome.FAILED, reason="BAD_INPUT")).job_state is State.FAILED


async def test_no_wait_is_ready_at_once(store, hand):
    lease = await leased(store, hand, retry=RetryPolicy(max_attempts=2, initial_backoff=0.0))
    await hand.end(lease.token, Outcome.FAILED)
    assert [one.attempt for one in await hand.take()] == [2]


async def test_what_is_given_back_goes_out_again_and_was_no_attempt(store, hand):
    lease = await leased(store, hand)
    assert (await hand.end(lease.token, Outcome.RELEASED)).job_state is State.PENDING
    (again,) = await hand.take()
    assert (again.attempt, again.subjob.attempts) == (2, 1)
    assert (await hand.end(again.token)).job_state is State.SUCCEEDED


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ([Outcome.SUCCEEDED, Outcome.SUCCEEDED], State.SUCCEEDED),
        ([Outcome.SUCCEEDED, Outcome.FAILED], State.PARTIALLY_FAILED),
        ([Outcome.FAILED, Outcome.FAILED], State.FAILED),
        ([Outcome.SUCCEEDED, Outcome.PARTIALLY_FAILED], State.PARTIALLY_FAILED),
        ([Outcome.CANCELLED, Outcome.CANCELLED], State.CANCELLED),
    ],
)
async def test_a_job_ends_as_its_pieces_do(store, hand, outcomes, state):
    await store.submit(new_job(subjobs=pieces(2)))
    leases = await hand.take(limit=2)
    first = await hand.end(leases[0].token, outcomes[0])
    last = await hand.end(leases[1].token, outcomes[1])
    assert (first.job_state, last.job_state) == (State.RUNNING, state)


async def test_pieces_of_one_job_settled_together_are_told_one_by_one(store):
    await store.submit(new_job(subjobs=pieces(40)))
    hands = [Hand(store, f"s{i}") for i in range(4)]
    batches = await asyncio.gather(*(hand.take(limit=10) for hand in hands))
    await asyncio.gather(*(hand.end(lease.token) for hand, own in zip(hands, batches, strict=True) for lease in own))
    job = await store.read.job(1, api=None, tenant=None)
    events = await store.read.events(after=0, limit=1000, job=1)
    assert (job.state, job.counters.succeeded, job.last_event) == (State.SUCCEEDED, 40, len(events))
    assert [event.job_seq for event in events] == list(range(1, len(events) + 1))
    assert [event.state for event in events if event.type is EventType.JOB_CHANGED] == [State.RUNNING, State.SUCCEEDED]


async def test_a_standing_job_runs_while_a_piece_runs_its_generation(store, hand):
    await store.submit(new_job(mode=Mode.STANDING, subjobs=(NewSubjob(),)))
    (lease,) = await hand.take()
    assert lease.job.state is State.RUNNING
    assert (await hand.end(lease.token, Outcome.RELEASED)).job_state is State.SUSPENDED


async def test_the_newest_attempts_are_kept(store, hand):
    await store.submit(new_job())
    for _ in range(103):
        (lease,) = await hand.take()
        await hand.end(lease.token, Outcome.RELEASED)
    kept = await store.read.attempts(lease.subjob.id, limit=1000)
    assert [one.number for one in kept] == list(range(4, 104))
