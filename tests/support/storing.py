"""Jobs and workers in few words, for the tests of stores."""

from dataclasses import replace

from jobyard_server.domain.job import IdempotencyKey, NewJob, NewSubjob, Outcome
from jobyard_server.domain.reason import Refused
from jobyard_server.store.clock import Clock
from jobyard_server.usecases.ports import Acquire, Heartbeat, Settle

JOB = NewJob("jobs", "acme", "ann")


def new_job(**changes):
    """A job of one subjob, as a client submits it."""
    return replace(JOB, **changes)


def pieces(count, **changes):
    """As many subjobs, each with its ordinal for a payload."""
    return tuple(NewSubjob(payload=str(ordinal), **changes) for ordinal in range(count))


def key(text, fingerprint="same", **changes):
    return IdempotencyKey(text, fingerprint, **changes)


class Hand:
    """A worker that does what the test says."""

    def __init__(self, store, session="s1", *, principal="worker", seconds=30.0):
        self.store = store
        self.session = session
        self.principal = principal
        self.seconds = seconds

    async def take(self, *queues, limit=1, tenant=None):
        command = Acquire(
            session=self.session,
            worker=f"{self.session}@host",
            principal=self.principal,
            tenant=tenant,
            queues=queues or ("default",),
            limit=limit,
            session_seconds=self.seconds,
            request_id="r2",
        )
        return (await self.store.acquire(command)).leases

    async def beat(self, *tokens, **changes):
        command = Heartbeat(self.session, self.principal, tokens, self.seconds)
        return await self.store.heartbeat(replace(command, **changes))

    async def end(self, token, outcome=Outcome.SUCCEEDED, **changes):
        return await self.store.settle(replace(Settle(token, self.principal, outcome), **changes))


async def refusal(awaitable):
    """The reason and the facts with which something is refused."""
    try:
        answer = await awaitable
    except Refused as refused:
        return refused.refusal
    raise AssertionError(f"not refused, but {answer!r}")


class FakeClock(Clock):
    """A clock that stands until the test moves it."""

    def __init__(self, wall=1_800_000_000_000_000, steady=5_000_000_000):
        super().__init__()
        self.wall_now = wall
        self.steady_now = steady

    def wall(self):
        return self.wall_now

    def steady(self):
        return self.steady_now

    def pass_by(self, seconds):
        """Let time go by."""
        self.wall_now += round(seconds * 1_000_000)
        self.steady_now += round(seconds * 1_000_000)

    def set_to(self, seconds):
        """Set the wall clock, ahead or back; no time goes by."""
        self.wall_now += round(seconds * 1_000_000)
