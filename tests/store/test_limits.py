"""Time limits: what waits, runs or goes on for too long ends, each with its own reason."""

import pytest
import pytest_asyncio

from jobyard_server.domain.event import EventType
from jobyard_server.domain.job import LeaseLoss, NewSubjob, Outcome, RetryPolicy, TimeLimits
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.reason import Reason
from jobyard_server.domain.state import Actor, Counters, Mode, State
from jobyard_server.store.store import Store
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.cancel_job import cancel_job
from jobyard_server.usecases.ports import Directive
from jobyard_server.usecases.resume_job import resume_job
from jobyard_server.usecases.retry_job import retry_job
from jobyard_server.usecases.suspend_job import suspend_job
from support.storing import FakeClock, Hand, new_job, pieces, refusal

CALL = Call(Principal("ann", "acme"), "jobs")
GRACE = 15.0


@pytest.fixture
def clock():
    return FakeClock()


@pytest_asyncio.fixture
async def store(url, clock):
    async with Store(url, clock=clock) as opened:
        clock.pass_by(1000)
        yield opened


@pytest.fixture
def hand(store):
    return Hand(store, seconds=3600.0)


ONE = pieces(1)


async def submitted(store, subjobs=ONE, **limits):
    changes = {name: limits.pop(name) for name in ("retry", "on_lease_loss", "mode") if name in limits}
    return (await store.submit(new_job(subjobs=subjobs, limits=TimeLimits(**limits), **changes))).job


async def look(store, job):
    found = await store.read.job(job.number, api=None, tenant=None)
    subjobs = await store.read.subjobs(job.number)
    return found, subjobs[0]


async def test_what_nobody_starts_in_time_fails(store, clock):
    job = await submitted(store, start=60.0)
    clock.pass_by(59)
    assert await store.end_overdue(GRACE) == 0
    clock.pass_by(1)
    assert await store.end_overdue(GRACE) == 1
    ended, subjob = await look(store, job)
    assert (ended.state, ended.reason, ended.message) == (
        State.FAILED,
        "START_TIMED_OUT",
        "no worker started it in time",
    )
    assert (subjob.state, subjob.reason, subjob.attempt_no) == (State.FAILED, "START_TIMED_OUT", 0)
    events = await store.read.events(after=0, limit=10, job=job.number)
    assert [(event.type, event.reason, event.actor) for event in events[1:]] == [
        (EventType.SUBJOB_CHANGED, "START_TIMED_OUT", "jobyard"),
        (EventType.JOB_CHANGED, "START_TIMED_OUT", "jobyard"),
    ]
    assert await store.end_overdue(GRACE) == 0


async def test_each_wait_has_the_whole_time(store, clock, hand):
    job = await submitted(store, start=60.0, retry=RetryPolicy(2, 100.0, 1.0, 100.0))
    clock.pass_by(50)
    (lease,) = await hand.take()
    clock.pass_by(500)
    assert await store.end_overdue(GRACE) == 0
    await hand.end(lease.token, Outcome.FAILED)
    clock.pass_by(100)
    await store.wake_due()
    # The wait between two attempts is not a wait for a worker.
    assert await store.end_overdue(GRACE) == 0
    clock.pass_by(60)
    assert await store.end_overdue(GRACE) == 1
    assert (await look(store, job))[0].reason == "START_TIMED_OUT"


async def test_what_is_held_back_waits_for_nobody(store, clock, hand):
    job = await submitted(store, start=60.0)
    await suspend_job(store, CALL, job.number)
    clock.pass_by(100)
    assert await store.end_overdue(GRACE) == 0
    await resume_job(store, CALL, job.number)
    clock.pass_by(59)
    assert await store.end_overdue(GRACE) == 0
    clock.pass_by(1)
    assert await store.end_overdue(GRACE) == 1


async def test_a_worker_is_told_how_long_it_has(store, clock, hand):
    await submitted(store, attempt=60.0)
    await submitted(store, attempt=60.0, total=100.0)
    await submitted(store)
    assert [lease.seconds for lease in await hand.take(limit=3)] == [60.0, 60.0, None]
    await submitted(store, attempt=60.0, total=100.0)
    clock.pass_by(70)
    (lease,) = await hand.take()
    assert lease.seconds == 30.0


async def test_an_attempt_that_takes_too_long_is_taken_away_after_a_grace(store, clock, hand):
    job = await submitted(store, attempt=60.0)
    (lease,) = await hand.take()
    clock.pass_by(60 + GRACE - 1)
    assert await store.end_overdue(GRACE) == 0
    clock.pass_by(1)
    assert await store.end_overdue(GRACE) == 1
    ended, subjob = await look(store, job)
    assert (ended.state, ended.reason) == (State.FAILED, "ATTEMPT_TIMED_OUT")
    (attempt,) = await store.read.attempts(subjob.id)
    assert (attempt.outcome, attempt.reason) == (Outcome.FENCED, "ATTEMPT_TIMED_OUT")
    assert (await hand.beat(lease.token)).directives == (Directive.LOST,)
    assert (await refusal(hand.end(lease.token))).reason is Reason.LEASE_LOST


async def test_another_attempt_follows_as_the_retry_policy_says(store, clock, hand):
    retry = RetryPolicy(2, 10.0, 1.0, 10.0)
    job = await submitted(store, attempt=60.0, retry=retry)
    never = await submitted(store, attempt=60.0, retry=RetryPolicy(2, non_retryable=frozenset({"ATTEMPT_TIMED_OUT"})))
    assert len(await hand.take(limit=2)) == 2
    clock.pass_by(60 + GRACE)
    assert await store.end_overdue(GRACE) == 2
    waiting, subjob = await look(store, job)
    assert (waiting.state, subjob.state, subjob.reason) == (State.PENDING, State.PENDING, "ATTEMPT_TIMED_OUT")
    assert (await look(store, never))[0].state is State.FAILED
    assert await hand.take() == ()
    clock.pass_by(10)
    await store.wake_due()
    assert len(await hand.take()) == 1
    clock.pass_by(60 + GRACE)
    assert await store.end_overdue(GRACE) == 1
    assert (await look(store, job))[0].state is State.FAILED


async def test_a_worker_that_stops_in_time_reports_itself(store, clock, hand):
    job = await submitted(store, attempt=60.0)
    (lease,) = await hand.take()
    clock.pass_by(61)
    assert await store.end_overdue(GRACE) == 0
    await hand.end(lease.token, Outcome.FAILED, reason="ATTEMPT_TIMED_OUT", exit_code=143)
    ended, subjob = await look(store, job)
    assert (ended.state, ended.reason) == (State.FAILED, "ATTEMPT_TIMED_OUT")
    (attempt,) = await store.read.attempts(subjob.id)
    assert (attempt.outcome, attempt.exit_code) == (Outcome.FAILED, 143)


@pytest.mark.parametrize("situation", ["waits", "waits for another attempt", "is held back", "runs"])
async def test_what_takes_too_long_in_all_fails_for_good(store, clock, hand, situation):
    job = await submitted(store, total=300.0, retry=RetryPolicy(9, 1000.0, 1.0, 1000.0))
    lease = None
    if situation in {"waits for another attempt", "runs"}:
        (lease,) = await hand.take()
    if situation == "waits for another attempt":
        await hand.end(lease.token, Outcome.FAILED)
    if situation == "is held back":
        await suspend_job(store, CALL, job.number)
    clock.pass_by(299)
    assert await store.end_overdue(GRACE) == 0
    clock.pass_by(1)
    if situation == "runs":
        assert await store.end_overdue(GRACE) == 0
        clock.pass_by(GRACE)
    assert await store.end_overdue(GRACE) == 1
    ended, subjob = await look(store, job)
    assert (ended.state, ended.reason, subjob.reason) == (State.FAILED, "TOTAL_TIMED_OUT", "TOTAL_TIMED_OUT")
    assert ended.counters == Counters(failed=1)
    if situation == "runs":
        assert (await hand.beat(lease.token)).directives == (Directive.LOST,)


async def test_a_worker_that_stops_at_the_end_of_all_time_gets_no_other_attempt(store, clock, hand):
    job = await submitted(store, total=60.0, attempt=300.0, retry=RetryPolicy(9))
    (lease,) = await hand.take()
    clock.pass_by(60)
    await hand.end(lease.token, Outcome.FAILED, reason="ATTEMPT_TIMED_OUT")
    ended, _ = await look(store, job)
    assert (ended.state, ended.reason) == (State.FAILED, "TOTAL_TIMED_OUT")


async def test_a_retry_by_a_user_has_the_whole_time_again(store, clock):
    job = await submitted(store, total=60.0)
    clock.pass_by(60)
    await store.end_overdue(GRACE)
    assert (await retry_job(store, CALL, job.number)).state is State.PENDING
    clock.pass_by(59)
    assert await store.end_overdue(GRACE) == 0
    clock.pass_by(1)
    assert await store.end_overdue(GRACE) == 1


async def test_what_is_being_cancelled_is_left_to_the_cancel(store, clock, hand):
    job = await submitted(store, total=60.0, attempt=30.0, heartbeat=10.0)
    await hand.take()
    await cancel_job(store, CALL, job.number)
    clock.pass_by(600)
    assert await store.end_overdue(GRACE) == 0
    assert (await look(store, job))[0].state is State.CANCELLING


@pytest.mark.parametrize(
    ("loss", "state", "reason"),
    [(LeaseLoss.REQUEUE, State.PENDING, "HEARTBEAT_TIMED_OUT"), (LeaseLoss.TIME_OUT, State.FAILED, "TIMED_OUT")],
)
async def test_a_lease_nobody_speaks_of_is_lost_though_its_worker_lives(store, clock, hand, loss, state, reason):
    job = await submitted(store, heartbeat=20.0, on_lease_loss=loss)
    other = await submitted(store)
    lease, free = await hand.take(limit=2)
    for _ in range(3):
        clock.pass_by(19)
        await hand.beat(lease.token, free.token)
        assert await store.end_overdue(GRACE) == 0
    clock.pass_by(20)
    await hand.beat(free.token)
    assert await store.end_overdue(GRACE) == 1
    found, subjob = await look(store, job)
    assert (found.state, subjob.reason) == (state, reason)
    (attempt,) = await store.read.attempts(subjob.id)
    assert attempt.outcome is Outcome.LOST
    assert (await look(store, other))[0].state is State.RUNNING


async def test_an_executor_without_a_lease_has_to_be_heard_of_too(store, clock):
    job = await submitted(store, heartbeat=20.0, mode=Mode.ONCE, on_lease_loss=LeaseLoss.TIME_OUT)

    def accepted(tx):
        found = tx.job(job.number, api=None, tenant=None)
        (subjob,) = tx.subjobs(found.number)
        tx.accept_subjob(subjob, found.generation)

    for _ in range(3):
        await store.run(accepted)
        clock.pass_by(19)
        assert await store.end_overdue(GRACE) == 0
    clock.pass_by(1)
    assert await store.end_overdue(GRACE) == 1
    ended, _ = await look(store, job)
    assert (ended.state, ended.reason) == (State.FAILED, "TIMED_OUT")


async def test_a_worker_that_could_not_reach_the_store_is_given_the_time_to(url, clock):
    """Limits ran out while nothing was running here: whoever stopped in time has to be able to say so."""
    async with Store(url, clock=clock) as store:
        job = await submitted(store, attempt=60.0, heartbeat=30.0)
        (lease,) = await Hand(store, seconds=3600.0).take()
    clock.pass_by(600)
    async with Store(url, clock=clock) as store:
        assert await store.end_overdue(GRACE) == 0
        clock.pass_by(GRACE - 1)
        assert await store.end_overdue(GRACE) == 0
        await Hand(store, seconds=3600.0).end(lease.token)
        assert (await look(store, job))[0].state is State.SUCCEEDED


async def test_a_clock_that_is_set_ends_nothing(store, clock, hand):
    await submitted(store, start=60.0, total=90.0)
    running = await submitted(store, attempt=60.0, heartbeat=60.0, subjobs=(NewSubjob(queue="q"),))
    assert len(await hand.take("q")) == 1
    clock.set_to(86_400)
    assert await store.end_overdue(GRACE) == 0
    clock.set_to(-2 * 86_400)
    assert await store.end_overdue(GRACE) == 0
    # Any write notices; the loop of the leases makes one a second.
    await store.expire_leases()
    clock.pass_by(60)
    assert await store.end_overdue(GRACE) == 1
    clock.pass_by(GRACE)
    assert await store.end_overdue(GRACE) == 1
    assert (await look(store, running))[0].state is State.FAILED


async def test_pieces_that_are_added_later_have_limits_too(store, clock):
    job = await submitted(store, start=60.0)
    clock.pass_by(30)
    await store.run(lambda tx: tx.add_subjobs(tx.job(job.number, api=None, tenant=None), [NewSubjob()]))
    clock.pass_by(30)
    assert await store.end_overdue(GRACE) == 1
    clock.pass_by(30)
    assert await store.end_overdue(GRACE) == 1
    assert (await look(store, job))[0].counters == Counters(failed=2)


async def test_many_are_ended_step_by_step(store, clock):
    await store.submit_many([new_job(limits=TimeLimits(start=1.0)) for _ in range(700)])
    clock.pass_by(1)
    assert [await store.end_overdue(GRACE) for _ in range(3)] == [500, 200, 0]


@pytest.mark.only("sqlite")
async def test_a_look_that_finds_nothing_reads_no_rows_that_have_no_limit(store, clock):
    """By the plan, not by a clock."""
    plans = await store.run(
        lambda tx: [
            tx._unit.sets.all(f"EXPLAIN QUERY PLAN SELECT id FROM subjobs AS s WHERE {condition} ORDER BY {column}")
            for column, condition in (
                ("s.limit_at", "s.limit_at <= 5 AND limit_at IS NOT NULL AND state IN ('PENDING', 'RUNNING')"),
                ("s.total_at", "s.total_at <= 5 AND total_at IS NOT NULL AND finished_at IS NULL"),
                ("s.silence_at", "s.silence_at <= 5 AND silence_at IS NOT NULL AND state = 'RUNNING'"),
            )
        ]
    )
    for rows, index in zip(plans, ("limit_at", "total_at", "silence_at"), strict=True):
        assert any(f"USING INDEX ix_subjobs_{index} ({index}<?)" in row[-1] or index in row[-1] for row in rows)
        assert not any("SCAN" in row[-1] or "TEMP" in row[-1] for row in rows)


async def test_only_the_engine_ends_what_is_held_back(store):
    job = await submitted(store)
    await suspend_job(store, CALL, job.number)

    def fail(tx):
        (subjob,) = tx.subjobs(job.number)
        tx.change_subjob(subjob, State.FAILED, actor=Actor.USER)

    assert (await refusal(store.run(fail))).reason is Reason.STATE_CONFLICT
