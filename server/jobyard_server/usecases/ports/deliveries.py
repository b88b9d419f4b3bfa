"""How deliveries are made: what an API says about each of its kinds, and who sends them.

An API registers its kinds in its ``Api`` object as ``deliveries={"start": DeliveryKind(render=..., judge=...)}`` and
owes one with ``tx.deliver(NewDelivery(api, "start", address, facts, ...))``. What goes out is made by ``render`` when
it is sent, ``judge`` says what an answer means, and ``settled`` runs in the transaction that writes down the end.

Polling and supervision need nothing else: a kind whose ``settled`` owes the next delivery with a later
``not_before`` is called again and again, survives restarts, and stops when its ``settled`` owes no more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

from jobyard_server.domain.delivery import Answer, DeliveryPolicy, Verdict, judge_success

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobyard_server.domain.delivery import Delivery, PeerCall
    from jobyard_server.domain.event import Event
    from jobyard_server.domain.job import Job
    from jobyard_server.usecases.ports.reading import Reader
    from jobyard_server.usecases.ports.transactions import Tx


class Rendering(Protocol):
    """What ``render`` may use."""

    @property
    def read(self) -> Reader:
        """Reads what is committed now, for calls that tell how things stand when they are sent."""

    def json(self, message: object, face: str) -> bytes:
        """A proto message as JSON, in the spelling of a face, such as ``"ics"``."""

    def reveal(self, sealed: str) -> str:
        """What ``usecases.credentials.seal_secret`` sealed, in clear; ``ValueError`` when it was not sealed here."""

    def credential(self, delivery: Delivery) -> str:
        """The credential that was forwarded with it, in clear; empty when there is none or its time is over."""


Render: TypeAlias = "Callable[[Delivery, Rendering], Awaitable[PeerCall | None]]"
"""Makes the call at the moment it is sent; ``None`` when there is nothing to tell any more, which ends it as
delivered. ``Refused`` ends it as dead; any other exception counts as a failed attempt."""

Judge: TypeAlias = Callable[[Answer], Verdict]
"""Says what an answer, or its absence, means."""

Settled: TypeAlias = "Callable[[Tx, Delivery, Answer], None]"
"""Runs in the transaction that ends a delivery, whose ``state`` is DELIVERED or DEAD by then. It may change jobs and
records, owe further deliveries, and must not fail for what a peer answered. The credential of the delivery is still
there, sealed, for a further one that shows it."""


RoutingKey: TypeAlias = "Callable[[Job, Event], str]"
"""Words the key by which the receiver of an event may pass it on; empty for an event that has none."""


def nothing_follows(_tx: Tx, _delivery: Delivery, _answer: Answer) -> None:
    """The end of a delivery changes nothing."""


@dataclass(frozen=True, slots=True)
class DeliveryKind:
    """One kind of delivery of an API."""

    render: Render
    judge: Judge = judge_success
    settled: Settled = nothing_follows
    policies: Mapping[str, DeliveryPolicy] = field(default_factory=lambda: {"": DeliveryPolicy()})
    """How often and when it is tried, by the name a delivery chooses; ``""`` is the usual one. The setting
    ``delivery_policies`` overrides them by ``API.KIND`` and ``API.KIND.NAME``."""
    keep_dead: bool = True
    """Whether one that failed for good is kept as a dead letter, to be sent again by call."""


@dataclass(frozen=True, slots=True)
class ClaimDeliveries:
    """A sender asks for what is due."""

    limit: int
    """Most deliveries in all."""
    in_flight: int
    """Most deliveries to one destination at once, those that are being sent already among them."""
    claim_seconds: float
    """After so long without a result they may be claimed by somebody else."""


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """How an attempt of a delivery went."""

    number: int
    attempt: int
    """The claim that is settled: a result of an older claim is refused."""
    verdict: Verdict
    answer: Answer
    may_retry: bool = True
    """Whether its policy allows another attempt, for ``RETRY``."""
    retry_after: float = 0.0
    """Seconds until then."""
    settled: Settled = nothing_follows
    keep_dead: bool = True


class Deliverer(Protocol):
    """Sends deliveries, in this process."""

    async def finish(self, deliveries: Sequence[Delivery], seconds: float) -> Sequence[Delivery]:
        """Wait until deliveries have ended, at most ``seconds``; what they are then, in the same order.

        Those claimed by ``NewDelivery.claimed`` begin at once. One that cannot leave within ``seconds``, because its
        destination is blocked or others go before it in the queue for too long, is not waited for: it goes on in the
        background, as does everything that is unfinished when the time is over.
        """
