"""What is owed to somebody outside: deliveries, the order they leave in, and when they are tried again.

A delivery is written in the transaction of the change it tells of, and is sent until it is done or given up. It is
sent at least once: a crash between sending and writing that down sends it again, with the same ``uid``.

Deliveries to one destination that are in one *lane* of their API and tenant leave one after the other, whatever their
kinds. The lane is a word of the API, by default the job's number; where a job owes things to several peers that share
a host, the API names a lane for each (``f"{job.number}/{producer}"``). Without a job and a lane there is no order.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from jobyard_server.domain.job import Micros

CLAIM_SECONDS: Final = 15.0
"""How long a claim holds that was made together with its delivery; its sender prolongs it."""
IN_FLIGHT: Final = 8
"""Deliveries to one destination at once, where no setting says otherwise."""


@dataclass(frozen=True, slots=True)
class Circuit:
    """How a destination fares. After some failures in a row it is left alone for a while, then tried with one call."""

    failures: int = 0
    """In a row."""
    blocked_for: float = 0.0
    """Seconds for which it is left alone from now on."""


CIRCUIT_FAILURES: Final = 5
"""So many failures in a row open the circuit of a destination."""
CIRCUIT_FIRST: Final = 1.0
CIRCUIT_LONGEST: Final = 30.0


def circuit_after(failures: int, healthy: bool, chance: float) -> Circuit:  # noqa: FBT001 - two facts of an answer
    """The circuit of a destination with so many failures in a row after one more answer."""
    if healthy:
        return Circuit()
    over = failures + 1 - CIRCUIT_FAILURES
    if over < 0:
        return Circuit(failures + 1)
    wait = min(CIRCUIT_LONGEST, CIRCUIT_FIRST * 2.0 ** min(over, 16))
    return Circuit(failures + 1, wait * (1.0 - chance / 2))


class Ordering(StrEnum):
    """How a delivery stands to those of its lane that were owed before."""

    ORDERED = "ORDERED"
    """It leaves after all of them."""
    LATEST = "LATEST"
    """The same, and it replaces those of its kind to its destination that have not been sent."""


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    WAITING = "WAITING"
    """Another one of its lane goes before it."""
    READY = "READY"
    """It is sent when its time has come and its destination takes calls."""
    SENDING = "SENDING"
    """A server is sending it."""
    DELIVERED = "DELIVERED"
    DEAD = "DEAD"
    """Given up. It can be sent again by call."""


class Verdict(StrEnum):
    """What the answer to a delivery means."""

    DONE = "DONE"
    RETRY = "RETRY"
    """Failed; it is tried again while its policy allows another attempt, else it is dead."""
    GIVE_UP = "GIVE_UP"
    """Failed in a way that no other attempt will change."""


class Problem(StrEnum):
    """Why there is no answer to judge."""

    ADDRESS_REFUSED = "ADDRESS_REFUSED"
    """The address is one that this server does not call."""
    UNRESOLVED = "UNRESOLVED"
    """The host name is unknown."""
    UNREACHABLE = "UNREACHABLE"
    """No connection could be made."""
    TIMED_OUT = "TIMED_OUT"
    BROKEN = "BROKEN"
    """The connection ended in the middle, or what came was not HTTP."""
    EXPIRED = "EXPIRED"
    """It was too old to be sent."""
    UNRENDERED = "UNRENDERED"
    """The call could not be made up."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from a peer, or why nothing did."""

    status: int = 0
    """HTTP status; 0 when there was no answer."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """By lower-case name."""
    body: bytes = b""
    """As much of it as the call asked for."""
    problem: Problem | None = None
    message: str = ""
    """For people: what went wrong."""

    @property
    def well(self) -> bool:
        """Whether the peer did what it was asked."""
        return self.problem is None and 200 <= self.status < 300


class AnswerBrokeError(Exception):
    """An answer broke off after some of its body was passed on."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.message)
        self.answer = answer
        """Why, told as of an answer that never came."""


@dataclass(frozen=True, slots=True)
class OpenAnswer:
    """An answer whose body is read while it comes."""

    answer: Answer
    """With its body where there are no pieces."""
    pieces: AsyncIterator[bytes] | None = None
    """The body, where the peer did what it was asked. Raises :class:`AnswerBrokeError` where it ends too early, lets
    wait too long, or is longer than the call wants it."""


@dataclass(frozen=True, slots=True)
class HttpCall:
    """A call as it goes out."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    """Taken for JSON where no header says otherwise."""
    pieces: Callable[[], AsyncIterator[bytes]] | None = None
    """Reads a body that is too large to be in memory, instead of ``body``. It is not signed."""
    size: int = 0
    """Bytes that ``pieces`` reads."""
    asks_for_json: bool = False
    """Whether the answer is wanted as JSON, which the peer is told."""
    signing_secret: bytes | None = field(default=None, repr=False)
    """Signs the call: ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature`` (HMAC-SHA256) are added."""
    answer_bytes: int = 64 * 1024
    """So much of the body of the answer is kept; more than usual only from peers that an operator registered."""
    own_token: bool = False
    """Whether the server shows the peer its own token (setting ``outbound_token_file``). Only for peers that an
    operator registered, never for an address that any client may choose."""
    by_proxy: bool = False
    """Whether it goes through the proxy of the operator, where there is one (setting ``outbound_proxy``)."""


@dataclass(frozen=True, slots=True)
class ObjectCall:
    """An object as it is put into a bucket of the operator's object store."""

    bucket: str
    key: str
    pieces: Callable[[], AsyncIterator[bytes]]
    """Reads its bytes, each time anew: JSON."""


@dataclass(frozen=True, slots=True)
class MessageCall:
    """A CloudEvent as it is published to a topic of the operator's broker. Its id is that of the delivery."""

    topic: str
    attributes: Mapping[str, str]
    """Of the event, beside its id."""
    data: bytes = b""
    """JSON."""


PeerCall: TypeAlias = HttpCall | ObjectCall | MessageCall


@dataclass(frozen=True, slots=True)
class DeliveryPolicy:
    """How often and when a delivery is tried, in seconds."""

    attempts: int = 10
    """In all; 0 means without limit."""
    first_wait: float = 1.0
    multiplier: float = 2.0
    max_wait: float = 300.0
    jitter: float = 0.5
    """The part of a wait that is drawn by chance: 0.5 makes 10 seconds anything from 5 to 10."""
    timeout: float = 10.0
    """Of one attempt."""
    max_age: float = 0.0
    """Given up when not done so long after it could first be sent; 0 means never."""

    def wait(self, attempts: int, chance: float) -> float:
        """Seconds to wait after so many attempts; ``chance`` is drawn from 0 to 1."""
        # A power of a large count overflows long before it is cut down to the largest wait.
        longest = min(self.max_wait, self.first_wait * self.multiplier ** min(attempts - 1, 64))
        return longest * (1.0 - self.jitter * chance)

    def allows(self, attempts: int) -> bool:
        """Whether another attempt may follow so many."""
        return self.attempts == 0 or attempts < self.attempts


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery as an API owes it."""

    api: str
    tenant: str
    kind: str
    """A word of its API, which renders, judges and settles by it."""
    address: str
    """URL that is called; it names the destination by its scheme, host and port."""
    facts: str = "{}"
    """JSON: what its API needs to render the call when it is sent."""
    job: int | None = None
    ordering: Ordering = Ordering.ORDERED
    lane: str = ""
    """Deliveries of one lane to one destination leave in order; empty: the job's number, where there is a job."""
    channel: str = ""
    """Deliveries of another channel to the same host have a destination of their own, with its own circuit and its own
    share of what is sent at once: for supervision, which has to get through while everything else is blocked."""
    policy: str = ""
    """Which of the policies of its kind."""
    not_before: Micros | None = None
    """``None``: at once."""
    credential: str = ""
    """A credential of a caller that is shown to the peer, sealed by ``usecases.credentials.seal_credential``."""
    claimed: bool = False
    """Claim it for the process that writes it, which then has to pass it to ``Deliverer.finish`` at once. Granted
    when its lane and its destination are free."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as it is kept."""

    number: int
    uid: str
    """Constant over all attempts: what a peer tells duplicates by."""
    api: str
    tenant: str
    kind: str
    job: int | None
    ordering: Ordering
    lane: str
    destination: str
    """Scheme, host and port of its address, and behind a space its channel, where it has one."""
    address: str
    facts: str
    policy: str
    credential: str
    state: DeliveryState
    attempts: int
    next_at: Micros
    """When it may be sent, or was to be sent at the earliest."""
    first_at: Micros
    """When it could first be sent."""
    last_status: int
    """HTTP status of the newest answer; 0 when there was none."""
    last_error: str
    """What went wrong at the newest attempt, for people."""
    created_at: Micros
    updated_at: Micros


def judge_success(answer: Answer) -> Verdict:
    """2xx is done, 410 is never tried again, everything else may do better next time."""
    if answer.well:
        return Verdict.DONE
    if answer.status == 410 or answer.problem is Problem.ADDRESS_REFUSED:
        return Verdict.GIVE_UP
    return Verdict.RETRY


def judge_below_400(answer: Answer) -> Verdict:
    """Any status below 400 is done: for peers that were always judged so."""
    if 0 < answer.status < 400:
        return Verdict.DONE
    return judge_success(answer)


_UNASKED: Final = frozenset({Problem.ADDRESS_REFUSED, Problem.EXPIRED, Problem.UNRENDERED})


def healthy(answer: Answer, verdict: Verdict) -> bool | None:
    """Whether the peer is well: it answered, and not to say that it cannot serve now. ``None``: it was not asked."""
    if answer.problem in _UNASKED:
        return None
    # Whoever refuses something for good serves: a 501 says nothing about what else is owed there.
    return verdict is not Verdict.RETRY or (0 < answer.status < 500 and answer.status != 429)
