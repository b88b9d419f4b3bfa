"""The store: what the use cases ask for, carried out by the writer, the reader and the waiters."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from jobyard_server.domain.reason import Reason, Refusal, Refused, invalid, refuse
from jobyard_server.store.acquire import acquire
from jobyard_server.store.clearing import force_cancels, forget_jobs
from jobyard_server.store.database import open_database
from jobyard_server.store.delivering import claim, forget, hold, release, settle_deliveries
from jobyard_server.store.expiry import expire_leases, forget_keys, wake_due
from jobyard_server.store.fire import fire, forget_fires
from jobyard_server.store.heartbeat import heartbeat
from jobyard_server.store.keeping import Keep
from jobyard_server.store.logs import MAX_CHUNK, append
from jobyard_server.store.overdue import end_overdue
from jobyard_server.store.owing import DELIVERIES
from jobyard_server.store.peeks import anything_late, anything_owed, anything_to_force, anything_to_wake
from jobyard_server.store.query import JobQueries
from jobyard_server.store.reader import Reader
from jobyard_server.store.rows import MICROS, kept
from jobyard_server.store.schema import prepare
from jobyard_server.store.settle import settle
from jobyard_server.store.submit import submit
from jobyard_server.store.transaction import Transaction
from jobyard_server.store.trimming import forget_events
from jobyard_server.store.uploads import forget_uploads
from jobyard_server.store.waits import queue_waits
from jobyard_server.store.wakeups import Wakeups
from jobyard_server.store.writer import Writer, run, step
from jobyard_server.usecases.ports import Acquired, Beaten, Fired, Settled, Submitted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

    from jobyard_server.domain.delivery import Delivery
    from jobyard_server.domain.fields import ApiFields
    from jobyard_server.domain.job import Micros, NewJob
    from jobyard_server.domain.signing import Signer
    from jobyard_server.store.clock import Clock
    from jobyard_server.store.tally import Tally
    from jobyard_server.store.unit import Unit
    from jobyard_server.store.words import Words
    from jobyard_server.usecases.ports import (
        Acquire,
        AppendLog,
        ClaimDeliveries,
        DeliveryResult,
        DueSchedule,
        Fire,
        Heartbeat,
        JobEnded,
        Settle,
        Tx,
    )

T = TypeVar("T")

COMMAND_BYTES: Final = 1024
"""What waits with a command beside its texts."""


@dataclass(frozen=True, slots=True)
class DeliveryFigures:
    """How deliveries are doing."""

    lag: float
    """Seconds by which the delivery is late that is due longest and may leave."""
    blocked: int
    """Destinations that are left alone because they failed too often."""
    dead: int
    """Deliveries that were given up and are kept."""


class Store:
    """The one store behind all APIs; open while it is entered.

    ``words`` are what each API calls its states, ``fields`` what each filters and sorts by; ``keep_seconds`` is how
    long jobs are kept after their end where they say nothing themselves, ``keep_by_api`` where it differs; ``ended``
    is what follows, by API, when a job of its ends, ``resumed`` when pieces of one wait anew.
    """

    def __init__(
        self,
        url: str,
        *,
        words: Words | None = None,
        fields: Mapping[str, ApiFields] | None = None,
        clock: Clock | None = None,
        keep_seconds: float | None = None,
        keep_by_api: Mapping[str, float] | None = None,
        ended: Mapping[str, JobEnded] | None = None,
        resumed: Mapping[str, JobEnded] | None = None,
    ) -> None:
        self._fields = fields or {}
        self._database = open_database(url)
        clock = clock or self._database.clock()
        queries = JobQueries(self._fields, self._database.dialect)
        self._reader = Reader(self._database, queries, clock)
        self._wakeups = Wakeups(self._version)
        keep = Keep(
            None if keep_seconds is None else round(keep_seconds * MICROS),
            {api: round(seconds * MICROS) for api, seconds in (keep_by_api or {}).items()},
        )
        follow = {"ended": ended, "resumed": resumed}
        self._writer = Writer(self._database, words or {}, self._wake, clock, keep=keep, queries=queries, **follow)
        self._signer: Signer | None = None
        self.figures = DeliveryFigures(lag=0.0, blocked=0, dead=0)
        """How deliveries were doing when somebody looked last."""

    async def start(self) -> None:
        """Bring the schema up to date and begin to write; a store that cannot is closed."""
        try:
            self._signer = await asyncio.to_thread(prepare, self._database, self._fields)
        except BaseException:
            self.close()
            raise
        self._writer.start()
        self._loop = asyncio.get_running_loop()
        self._database.listen(self._hear)

    async def stop(self) -> None:
        """Commit what waits, wake whoever waits, and close the database."""
        await self._writer.stop()
        self._wakeups.close()
        self.close()

    def close(self) -> None:
        """Close the database of a store that does not run."""
        self._reader.close()
        self._database.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def read(self) -> Reader:
        """Reads."""
        return self._reader

    @property
    def signer(self) -> Signer:
        """Seals the tokens of pages and watches."""
        if self._signer is None:
            raise refuse(Reason.STORE_UNAVAILABLE, "the store is not running")
        return self._signer

    @property
    def tally(self) -> Tally:
        """What the writer has done so far."""
        return self._writer.tally

    @property
    def reachable_for(self) -> float:
        """Seconds for which every write found the database; 0 when the last one did not."""
        return self._writer.reachable_for / MICROS

    async def submit(self, job: NewJob) -> Submitted:
        """Accept a job."""
        (submitted,) = await self.submit_many((job,))
        return submitted

    async def submit_many(self, jobs: Sequence[NewJob]) -> Sequence[Submitted]:
        """Accept jobs, all or none."""
        submitted: list[Submitted] = await self._writer.do(submit, tuple(jobs), _weight(jobs))
        return submitted

    async def acquire(self, command: Acquire) -> Acquired:
        """Lease what is ready now."""
        turn = self._wakeups.turn
        acquired: Acquired = await self._writer.do(acquire, command)
        if len(acquired.leases) < command.limit:
            self._wakeups.emptied([kept(queue) for queue in command.queues], turn)
        return acquired

    async def heartbeat(self, command: Heartbeat) -> Beaten:
        """Prolong a session."""
        beaten: Beaten = await self._writer.do(heartbeat, command)
        return beaten

    async def settle(self, command: Settle) -> Settled:
        """End an attempt."""
        (settled,) = await self.settle_many((command,))
        if isinstance(settled, Refusal):
            raise Refused(settled)
        return settled

    async def settle_many(self, commands: Sequence[Settle]) -> Sequence[Settled | Refusal]:
        """End attempts, each for itself."""
        weight = sum(len(command.result) + COMMAND_BYTES for command in commands)
        settled: list[Settled | Refusal] = await self._writer.do(settle, tuple(commands), weight)
        return settled

    async def append_log(self, command: AppendLog) -> int:
        """Keep a chunk of the log of an attempt."""
        if len(command.data) > MAX_CHUNK:
            raise invalid("data", f"is longer than {MAX_CHUNK} bytes")
        received: int = await self._writer.do(append, command, len(command.data))
        return received

    async def due_schedules(
        self, limit: int, taken: frozenset[int] = frozenset()
    ) -> tuple[Micros, Sequence[DueSchedule]]:
        """The time, and schedules that have something to do, but for those taken."""
        return await self._reader.due_schedules(limit, taken)

    async def fire(self, commands: Sequence[Fire]) -> Fired:
        """Take schedules on, all in one transaction."""
        jobs = [new for command in commands for _, new in command.made if not isinstance(new, Refusal)]
        fired: Fired = await self._writer.do(fire, tuple(commands), _weight(jobs))
        return fired

    async def forget_fires(self, seconds: float, after: int) -> tuple[int, int]:
        """Forget what became of due times so long ago, for a step of schedules."""
        age = round(seconds * MICROS)
        forgotten: tuple[int, int] = await self._writer.do(step, lambda unit: forget_fires(unit, age, after))
        return forgotten

    async def claim_deliveries(self, command: ClaimDeliveries) -> Sequence[Delivery]:
        """Claim what is due."""
        turn = self._wakeups.turn
        claimed: Sequence[Delivery] = ()
        if await anything_owed(self._reader):
            claimed = await self._writer.do(claim, command)
        if len(claimed) < command.limit:
            self._wakeups.emptied([DELIVERIES], turn)
        return claimed

    async def hold_deliveries(self, numbers: Sequence[int], seconds: float) -> None:
        """Prolong the claims of deliveries that are being sent."""
        await self._writer.do(step, lambda unit: hold(unit, numbers, seconds))

    async def settle_delivery(self, result: DeliveryResult) -> Delivery | None:
        """Write down how an attempt of a delivery went."""
        settled: Delivery | None = await self._writer.do(settle_deliveries, result)
        return settled

    async def next_delivery(self) -> float | None:
        """Seconds until the next delivery is due."""
        due = await self._reader.next_delivery()
        return None if due is None else max(0.0, (due - self._reader.clock.wall()) / MICROS)

    async def delivery_figures(self) -> DeliveryFigures:
        """How deliveries are doing."""
        now, due = self._reader.clock.wall(), await self._reader.next_delivery()
        self.figures = DeliveryFigures(
            lag=0.0 if due is None else max(0.0, (now - due) / MICROS),
            blocked=await self._reader.blocked_destinations(now),
            dead=await self._reader.dead_deliveries(),
        )
        return self.figures

    async def look(self) -> None:
        """Read the figures anew, if they can be read."""
        with suppress(Refused):
            await self.delivery_figures()

    async def queue_waits(self) -> Mapping[str, float]:
        """How many seconds the next piece of work has waited for a worker, by queue."""
        return await queue_waits(self._reader)

    async def owed(self, seconds: float) -> None:
        """Wait for something that may be due to be delivered."""
        await self._wakeups.ready([DELIVERIES], seconds)

    async def run(self, closure: Callable[[Tx], T], *, size: int = 0) -> T:
        """Run a closure in a transaction; ``size`` bytes wait with it."""

        def within(unit: Unit) -> T:
            transaction = Transaction(unit)
            result = closure(transaction)
            transaction.finish()
            return result

        result: T = await self._writer.do(run, within, size)
        return result

    async def ready(self, queues: Sequence[str], seconds: float) -> None:
        """Wait for something ready on one of the queues."""
        await self._wakeups.ready([kept(queue) for queue in queues], seconds)

    async def changed(self, seconds: float) -> None:
        """Wait for events."""
        await self._wakeups.changed(seconds)

    @property
    def ending(self) -> bool:
        """Whether whoever waits is to come back with what there is."""
        return self._wakeups.ending

    def end_waits(self) -> None:
        """Wake whoever waits, as the server is about to stop."""
        self._wakeups.end()

    async def expire_leases(self) -> int:
        """Take back a step of what lapsed sessions hold."""
        return await self._step(lambda unit: expire_leases(unit, self._writer.reachable_for))

    async def wake_due(self) -> int:
        """Make a step of the subjobs ready whose wait is over."""
        if not await anything_to_wake(self._reader):
            return 0
        return await self._step(wake_due)

    async def force_cancels(self, grace_seconds: float) -> int:
        """Take away a step of what was told to stop so long ago and goes on."""
        grace = round(grace_seconds * MICROS)
        if not await anything_to_force(self._reader, grace):
            return 0
        return await self._step(lambda unit: force_cancels(unit, grace))

    async def end_overdue(self, grace_seconds: float) -> int:
        """End a step of what is late; workers have so long to report an attempt whose time is over."""
        grace = round(grace_seconds * MICROS)
        if not await anything_late(self._reader):
            return 0
        return await self._step(lambda unit: end_overdue(unit, grace, self._writer.reachable_for))

    async def forget_jobs(self) -> int:
        """Remove a step of the jobs whose time to be kept is over."""
        return await self._step(forget_jobs)

    async def forget_events(self, seconds: float) -> int:
        """Forget a step of the events that are older."""
        age = round(seconds * MICROS)
        return await self._step(lambda unit: forget_events(unit, age))

    async def give_back(self) -> int:
        """Give a step of free pages back to the disk."""
        return await self._step(lambda unit: self._database.give_back(unit.sets))

    async def forget_uploads(self, seconds: float) -> int:
        """Forget a step of what was begun so long ago and never came whole."""
        age = round(seconds * MICROS)
        return await self._step(lambda unit: forget_uploads(unit, age))

    async def forget_keys(self) -> int:
        """Forget a step of the request keys whose time is over."""
        return await self._step(forget_keys)

    async def release_deliveries(self) -> int:
        """Make a step of the deliveries ready again whose claims ran out."""
        return await self._step(release)

    async def forget_deliveries(self, done_seconds: float, dead_seconds: float) -> int:
        """Forget a step of the deliveries that ended so long ago, or failed for good so long ago."""
        done, dead = round(done_seconds * MICROS), round(dead_seconds * MICROS)
        return await self._step(lambda unit: forget(unit, done, dead))

    def _wake(self, queues: set[str], changed: bool) -> None:  # noqa: FBT001 - two facts of a commit
        self._wakeups.wake(queues, changed)
        self._database.tell(queues, changed=changed)

    def _hear(self, queues: set[str] | None, changed: bool) -> None:  # noqa: FBT001 - the same two
        """In the thread of the database: another process woke somebody."""
        with suppress(RuntimeError):  # the loop ended meanwhile
            if queues is None:
                self._loop.call_soon_threadsafe(self._wakeups.wake_all)
            else:
                self._loop.call_soon_threadsafe(self._wakeups.wake, queues, changed)

    async def _version(self) -> int:
        """Changes when another process writes; our own writes go through the one that asks."""
        try:
            version: int = await self._writer.do(step, lambda unit: self._database.version(unit.sets))
        except Refused:
            # Nobody can have told us anything; whoever waits tries again by himself.
            return -1
        return version

    async def _step(self, closure: Callable[[Unit], int]) -> int:
        touched: int = await self._writer.do(step, closure)
        return touched


def _weight(jobs: Sequence[NewJob]) -> int:
    """About how many bytes wait with a submit."""
    return sum(len(job.spec) + sum(len(subjob.payload) for subjob in job.subjobs) + COMMAND_BYTES for job in jobs)
