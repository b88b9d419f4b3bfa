"""The store behind all APIs, and what the engine has it do as time goes by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from jobyard_server.usecases.ports.schedules import ScheduleStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jobyard_server.domain.delivery import Delivery
    from jobyard_server.domain.job import NewJob
    from jobyard_server.domain.reason import Refusal
    from jobyard_server.domain.signing import Signer
    from jobyard_server.usecases.ports.deliveries import ClaimDeliveries, DeliveryResult
    from jobyard_server.usecases.ports.reading import Reader
    from jobyard_server.usecases.ports.transactions import Tx
    from jobyard_server.usecases.ports.work import (
        Acquire,
        Acquired,
        AppendLog,
        Beaten,
        Heartbeat,
        Settle,
        Settled,
        Submitted,
    )

T = TypeVar("T")


class Store(ScheduleStore, Protocol):
    """The one store behind all APIs."""

    @property
    def read(self) -> Reader:
        """Reads."""

    @property
    def signer(self) -> Signer:
        """Seals the tokens of pages and watches with a key that was made once and is kept in the database."""

    async def submit(self, job: NewJob) -> Submitted:
        """Accept a job, durably; raises ``Refused``."""

    async def submit_many(self, jobs: Sequence[NewJob]) -> Sequence[Submitted]:
        """Accept jobs, all or none; raises ``Refused`` naming the first one refused in ``metadata["index"]``."""

    async def acquire(self, command: Acquire) -> Acquired:
        """Lease what is ready now; does not wait."""

    async def heartbeat(self, command: Heartbeat) -> Beaten:
        """Prolong a session; raises ``Refused`` with SESSION_UNKNOWN."""

    async def settle_many(self, commands: Sequence[Settle]) -> Sequence[Settled | Refusal]:
        """End attempts, each for itself: LEASE_LOST is the answer to a stale token; raises ``Refused`` for all."""

    async def append_log(self, command: AppendLog) -> int:
        """Keep a chunk of an attempt's log; the size received so far. Sent twice, kept once; raises ``Refused``."""

    async def run(self, closure: Callable[[Tx], T], *, size: int = 0) -> T:
        """Run a closure in a transaction; ``size`` is how many bytes it keeps in memory until then, if many."""

    async def ready(self, queues: Sequence[str], seconds: float) -> None:
        """Return when something may have become ready on one of the queues, at the latest after ``seconds``."""

    async def changed(self, seconds: float) -> None:
        """Return when events may have been appended, at the latest after ``seconds``."""

    @property
    def ending(self) -> bool:
        """Whether the server is about to stop: whoever was woken then waits no more, and says what there is."""

    async def claim_deliveries(self, command: ClaimDeliveries) -> Sequence[Delivery]:
        """Claim what is due, per destination in order and never more than it takes at once."""

    async def hold_deliveries(self, numbers: Sequence[int], seconds: float) -> None:
        """Prolong the claims of deliveries that are being sent."""

    async def settle_delivery(self, result: DeliveryResult) -> Delivery | None:
        """Write down how an attempt of a delivery went; ``None`` when the claim was lost meanwhile."""

    async def next_delivery(self) -> float | None:
        """Seconds until the next delivery is due; ``None`` when none waits."""

    async def owed(self, seconds: float) -> None:
        """Return when something may have become due to be delivered, at the latest after ``seconds``."""


class Upkeep(Protocol):
    """What time does to a store. Each call is one bounded step; call again at once while it returns more than 0."""

    async def expire_leases(self) -> int:
        """Take back what workers hold that were not heard of; only while the store was reachable all that time."""

    async def wake_due(self) -> int:
        """Make subjobs ready whose wait for another attempt is over."""

    async def forget_keys(self) -> int:
        """Forget request keys whose time is over."""

    async def release_deliveries(self) -> int:
        """Make ready again what was claimed by a process that did not finish it."""

    async def forget_deliveries(self, done_seconds: float, dead_seconds: float) -> int:
        """Forget deliveries that were made so long ago, or failed for good so long ago."""
