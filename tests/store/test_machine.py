"""Everything that can happen to jobs, in any order: what must always hold is checked after every step."""

import asyncio
import tempfile
from collections import Counter
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobyard_server.domain.event import EventType
from jobyard_server.domain.job import LeaseLoss, Outcome, RetryPolicy, TimeLimits
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.reason import Refused
from jobyard_server.domain.state import Counters, Mode, State, fold
from jobyard_server.store.store import Store
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.cancel_job import cancel_job
from jobyard_server.usecases.change_jobs import Selection, cancel_jobs
from jobyard_server.usecases.delete_job import delete_job
from jobyard_server.usecases.finish_job import ENDS as ENDS_OF_AUTHORITY
from jobyard_server.usecases.finish_job import finish_job
from jobyard_server.usecases.resume_job import resume_job
from jobyard_server.usecases.retry_job import retry_job
from jobyard_server.usecases.suspend_job import suspend_job
from support.replaying import GIVEN_UP, replay
from support.storing import FakeClock, Hand, new_job, pieces

CALL = Call(Principal("ann", "acme"), "jobs")
LIFE = 30.0
MOST = 4
LIMITS = [TimeLimits(), TimeLimits(attempt=20.0), TimeLimits(start=40.0, total=90.0), TimeLimits(heartbeat=10.0)]
BEGINNINGS = frozenset({EventType.RETRY_REQUESTED, EventType.RESUME_REQUESTED})
ENDS = [Outcome.SUCCEEDED, Outcome.FAILED, Outcome.RELEASED, Outcome.PARTIALLY_FAILED, Outcome.CANCELLED]
ACTIONS = [
    *("submit", "acquire", "acquire", "settle", "settle", "settle_what_ended", "settle_at_once", "heartbeat"),
    *("time_goes_by", "somebody_sets_the_clock", "cancel", "suspend", "resume", "retry", "delete"),
    *("finish", "retry_a_piece", "cancel_all"),
]


class Jobs:
    """Submitters, workers, users and time, at one store; what they choose comes from two small numbers."""

    def __init__(self, folder):
        self.clock = FakeClock()
        self.runner = asyncio.Runner()
        self.store = Store(f"sqlite:///{Path(folder)}/store.db", clock=self.clock)
        self.do(self.store.start())
        self.hands = [Hand(self.store, f"s{i}", seconds=LIFE) for i in range(3)]
        self.seen = {}
        self.jobs = []
        self.tokens = []
        self.ended = []
        self.submit(3, 0)
        self.acquire(0, 1)

    def close(self):
        self.do(self.store.stop())
        self.runner.close()

    def do(self, awaitable):
        return self.runner.run(awaitable)

    def submit(self, x, y):
        if len(self.jobs) < MOST:
            job = new_job(
                mode=Mode.STANDING if x == 7 else Mode.ONCE,
                subjobs=pieces(x % 4),
                retry=RetryPolicy((0, 2, 1)[y % 3], 20.0 * (y == 1)),
                on_lease_loss=LeaseLoss.TIME_OUT if y > 5 else LeaseLoss.REQUEUE,
                resumable=bool(y & 2),
                limits=LIMITS[(x + y) % len(LIMITS)],
            )
            self.jobs.append(self.do(self.store.submit(job)).job.number)

    def acquire(self, x, y):
        leases = self.do(self.hands[x % 3].take(limit=1 + y % 3))
        self.tokens += [(x % 3, lease.token) for lease in leases]

    def taken(self, x):
        worker, token = self.tokens.pop(x % len(self.tokens))
        self.ended.append((worker, token))
        return self.hands[worker], token

    def settle(self, x, y):
        if self.tokens:
            hand, token = self.taken(x)
            with suppress(Refused):
                self.do(hand.end(token, ENDS[y % 5], reason="EXIT" if y else ""))

    def settle_what_ended(self, x, y):
        if self.ended:
            worker, token = self.ended[x % len(self.ended)]
            head = self.do(self.store.read.event_bounds())
            with suppress(Refused):
                self.do(self.hands[worker].end(token, ENDS[y % 5]))
            assert self.do(self.store.read.event_bounds()) == head

    def settle_at_once(self, x, y):
        if self.tokens:
            hand, token = self.taken(x)
            outcomes = [ENDS[y % 5], ENDS[x % 5], ENDS[y % 5]]

            async def race():
                ends = [hand.end(token, outcome) for outcome in outcomes]
                return await asyncio.gather(*ends, return_exceptions=True)

            answers = zip(outcomes, self.do(race()), strict=True)
            assert len({outcome for outcome, answer in answers if not isinstance(answer, Refused)}) <= 1

    def heartbeat(self, x, _):
        own = [token for by, token in self.tokens + self.ended if by == x % 3]
        with suppress(Refused):
            assert len(self.do(self.hands[x % 3].beat(*own)).directives) == len(own)

    def time_goes_by(self, x, _):
        self.clock.pass_by((1.0, 12.0, 31.0)[x % 3])
        self.do(self.store.expire_leases())
        self.do(self.store.end_overdue(10.0))
        self.do(self.store.force_cancels(25.0))
        self.do(self.store.wake_due())

    def somebody_sets_the_clock(self, x, _):
        self.clock.set_to((x - 3) * 3600)

    def cancel(self, x, _):
        self.ask(cancel_job, x)

    def suspend(self, x, _):
        self.ask(suspend_job, x)

    def resume(self, x, _):
        self.ask(resume_job, x)

    def retry(self, x, _):
        self.ask(retry_job, x)

    def finish(self, x, y):
        self.ask(finish_job, x, sorted(ENDS_OF_AUTHORITY)[y % 3])

    def retry_a_piece(self, x, y):
        self.ask(partial(retry_job, ordinals=[y % 4]), x)

    def cancel_all(self, x, _):
        if self.jobs:
            selection = Selection(f"number >= {self.jobs[x % len(self.jobs)]}")
            done = self.do(cancel_jobs(self.store, CALL, selection))
            assert done.matched == done.changed

    def ask(self, use_case, x, *said):
        if self.jobs:
            job = self.jobs[x % len(self.jobs)]
            with suppress(Refused):
                answered = self.do(use_case(self.store, CALL, job, *said))
                assert answered == self.do(self.store.read.job(job, api=None, tenant=None))

    def delete(self, x, y):
        if len(self.jobs) == MOST:
            job = self.jobs[x % MOST]
            try:
                self.do(delete_job(self.store, CALL, job, force=y > 3))
            except Refused:
                assert not self.do(self.store.read.job(job, api=None, tenant=None)).state.terminal
            else:
                self.jobs.remove(job)
                assert self.do(self.store.read.subjobs(job)) == []

    async def check(self):
        for number in range(1, await self.store.read.newest_number() + 1):
            job = await self.store.read.job(number, api=None, tenant=None)
            events = await self.store.read.events(after=0, limit=1000, job=number)
            assert [event.job_seq for event in events] == list(range(1, len(events) + 1))
            if job is None:
                assert events[-1].type is EventType.JOB_DELETED
                continue
            subjobs = await self.store.read.subjobs(number)
            self.check_fold(job, subjobs)
            self.check_events(job, events)
            if job.mode is Mode.ONCE and subjobs:
                replay(job, len(subjobs), events)
            await self.check_attempts(subjobs)

    def check_fold(self, job, subjobs):
        states = Counter(subjob.state for subjob in subjobs)
        assert job.counters == Counters(*(states[state] for state in State))
        current = sum(one.state is State.RUNNING and one.generation == job.generation for one in subjobs)
        assert job.control.running_now == (current if job.mode is Mode.STANDING else 0)
        assert job.state is fold(job.mode, job.control, job.counters)
        assert (job.finished_at is not None) == job.state.terminal
        if job.control.cancel_requested:
            # What is asked to end is neither handed out again nor goes on untold.
            assert not states[State.PENDING] + states[State.RUNNING] + states[State.SUSPENDED]
        if job.state is State.SUSPENDED and job.mode is Mode.ONCE:
            assert not states[State.PENDING]

    def check_events(self, job, events):
        assert job.last_event == len(events)
        told = [event for event in events if event.type in (EventType.JOB_SUBMITTED, EventType.JOB_CHANGED)]
        assert told[-1].state is job.state
        assert all(one.state is not other.state for one, other in pairwise(told))
        ends = sum(event.state.terminal for event in told)
        beginnings = sum(event.type in BEGINNINGS for event in events)
        given_up = sum(event.type in GIVEN_UP for event in events)
        # One end, and another one only after somebody asked: retry, resume, or to give up what failed.
        assert ends <= 1 + beginnings + given_up
        before = self.seen.get(job.number)
        if before is not None and before[0] is State.CANCELLED and before[1] == beginnings:
            assert job.state is State.CANCELLED
        self.seen[job.number] = (job.state, beginnings)

    async def check_attempts(self, subjobs):
        for subjob in subjobs:
            attempts = await self.store.read.attempts(subjob.id)
            assert [one.number for one in attempts] == list(range(1, subjob.attempt_no + 1))
            running = [one.number for one in attempts if one.outcome is Outcome.OPEN]
            held = subjob.state in (State.RUNNING, State.CANCELLING)
            assert running == ([subjob.attempt_no] if held else [])
            assert (subjob.finished_at is not None) == subjob.state.terminal


NUMBERS = st.integers(0, 7)
STEPS = st.lists(st.tuples(st.sampled_from(ACTIONS), NUMBERS, NUMBERS), min_size=25, max_size=35)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_what_must_hold_holds_after_every_step(steps):
    with tempfile.TemporaryDirectory() as folder:
        jobs = Jobs(folder)
        try:
            for action, x, y in steps:
                getattr(jobs, action)(x, y)
                jobs.do(jobs.check())
        finally:
            jobs.close()
