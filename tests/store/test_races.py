"""Everything at once: cancels, leases, ends, retries and heartbeats of one job from two processes' stores."""

import asyncio
import os
import random
from contextlib import suppress

import pytest

from jobyard_server.domain.job import LeaseLoss, Outcome, RetryPolicy
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.reason import Reason, Refused
from jobyard_server.domain.state import Mode, State
from jobyard_server.store.store import Store
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.cancel_job import cancel_job
from jobyard_server.usecases.change_jobs import Selection, cancel_jobs
from jobyard_server.usecases.finish_job import ENDS, finish_job
from jobyard_server.usecases.ports import Directive
from jobyard_server.usecases.resume_job import resume_job
from jobyard_server.usecases.retry_job import retry_job
from jobyard_server.usecases.suspend_job import suspend_job
from support.replaying import replay
from support.storing import FakeClock, Hand, new_job, pieces

CALL = Call(Principal("ann", "acme"), "jobs")
GRACE = 60.0
TRIALS = 1_000 if os.environ.get("LONG") else 400
CHILDREN = (1, 2, 3, 5, 8, 100)
WEIGHTS = (20, 20, 20, 20, 15, 5)
OUTCOMES = [Outcome.SUCCEEDED, Outcome.FAILED, Outcome.RELEASED, Outcome.PARTIALLY_FAILED, Outcome.CANCELLED]
ALLOWED = {
    Reason.LEASE_LOST,
    Reason.SESSION_UNKNOWN,
    Reason.JOB_FINISHED,
    Reason.JOB_NOT_FINISHED,
    Reason.STATE_CONFLICT,
}


class Trial:
    """One job, and everybody who wants something of it at the same time."""

    def __init__(self, stores, number, seed, children):
        self.stores = stores
        self.random = random.Random(seed)
        self.children = children
        self.queue = f"q{number}"
        self.hands = [Hand(store, f"s{number}-{place}") for place, store in enumerate(stores * 2)]
        self.tokens = []
        self.cancelled = False
        self.job = 0

    async def run(self):
        draw = self.random
        job = new_job(
            queue=self.queue,
            subjobs=pieces(self.children),
            retry=RetryPolicy(draw.choice((1, 2, 0)), 0.0),
            on_lease_loss=draw.choice(list(LeaseLoss)),
            resumable=draw.random() < 0.3,
        )
        self.job = (await self.stores[0].submit(job)).job.number
        await asyncio.gather(*(self.acquire() for _ in range(2)))
        kinds = ("settle", "acquire", "heartbeat", "cancel", "retry", "suspend", "resume", "finish", "cancel_all")
        chosen = draw.choices(kinds, (40, 15, 10, 12, 8, 5, 5, 2, 3), k=draw.randint(5, 25))
        await asyncio.gather(*(self.ask(kind) for kind in chosen))

    async def ask(self, kind):
        for _ in range(self.random.randint(0, 3)):
            await asyncio.sleep(0)
        try:
            await getattr(self, kind)()
        except Refused as refused:
            if refused.refusal.reason not in ALLOWED:
                raise

    @property
    def store(self):
        return self.random.choice(self.stores)

    async def acquire(self):
        hand = self.random.choice(self.hands)
        limit = self.random.randint(1, max(1, self.children))
        self.tokens += [(hand, lease.token) for lease in await hand.take(self.queue, limit=limit)]

    async def settle(self):
        if self.tokens:
            hand, token = self.random.choice(self.tokens)
            await hand.end(token, self.random.choice(OUTCOMES))

    async def heartbeat(self):
        hand = self.random.choice(self.hands)
        own = [token for by, token in self.tokens if by is hand]
        assert len((await hand.beat(*own)).directives) == len(own)

    async def cancel(self):
        answered = await cancel_job(self.store, CALL, self.job)
        # Once it has been acknowledged, no other end than by somebody who asks for more.
        assert answered.state is not State.PENDING

    async def cancel_all(self):
        await cancel_jobs(self.store, CALL, Selection(f"number = {self.job}"))

    async def retry(self):
        ordinals = self.random.choice(((), (self.random.randrange(self.children),)))
        await retry_job(self.store, CALL, self.job, ordinals=ordinals)

    async def suspend(self):
        await suspend_job(self.store, CALL, self.job)

    async def resume(self):
        await resume_job(self.store, CALL, self.job)

    async def finish(self):
        await finish_job(self.store, CALL, self.job, self.random.choice(sorted(ENDS)))

    async def check(self):
        read = self.stores[0].read
        job = await read.job(self.job, api=None, tenant=None)
        events = await read.events(after=0, limit=10_000, job=self.job)
        replay(job, self.children, events)
        subjobs = await read.subjobs(self.job)
        for subjob in subjobs:
            found = await read.attempts(subjob.id)
            assert [one.number for one in found] == list(range(1, subjob.attempt_no + 1))
            held = subjob.state in {State.RUNNING, State.CANCELLING}
            assert [one.outcome for one in found].count(Outcome.OPEN) == held
        return job


@pytest.mark.timeout(600)
async def test_whatever_happens_at_once_adds_up(url):
    clock = FakeClock()
    async with Store(url, clock=clock) as one, Store(url, clock=clock) as two:
        for number in range(TRIALS):
            seed = random.randrange(1 << 32)
            children = random.Random(seed).choices(CHILDREN, WEIGHTS)[0]
            # Two writers of one file wait for each other most of the time.
            stores = [one, two] if number % 10 == 0 else [one]
            trial = Trial(stores, number, seed, children)
            try:
                await trial.run()
                job = await trial.check()
                if number % 7 == 0:
                    await _cancelled_in_the_end(trial, clock, job)
            except BaseException as problem:
                problem.add_note(f"seed {seed}, {children} children, trial {number}")
                raise


async def _cancelled_in_the_end(trial, clock, job):
    """Who does not listen is cut off: after the grace nothing of a cancelled job runs."""
    with suppress(Refused):
        await cancel_job(trial.store, CALL, trial.job)
    for hand, token in trial.tokens:
        with suppress(Refused):
            assert set((await hand.beat(token)).directives) <= {Directive.CANCEL, Directive.LOST}
    clock.pass_by(GRACE)
    while await trial.stores[0].force_cancels(GRACE):
        pass
    ended = await trial.check()
    assert job.mode is Mode.ONCE
    assert ended.state.terminal
    if not job.state.terminal:
        assert ended.counters.live == 0
