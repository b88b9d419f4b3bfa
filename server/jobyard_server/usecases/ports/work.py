"""What workers and submitters ask of the store: the hot verbs, as commands and their answers.

Hot verbs are commands that the store takes in sets; a refusal of one command never disturbs its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from jobyard_server.domain.hot import hot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobyard_server.domain.job import Job, Micros, Outcome, Subjob
    from jobyard_server.domain.state import State


@hot
@dataclass(frozen=True, slots=True)
class Submitted:
    """The answer to a submit."""

    job: Job
    replayed: bool = False
    """The job existed: this request, or one under the same key, had been accepted before."""
    payload_differs: bool = False
    """Replayed, and the body was not the first one's (only under ``KeyReuse.RETURN``)."""


@dataclass(frozen=True, slots=True)
class Acquire:
    """A worker asks for ready subjobs."""

    session: str
    worker: str
    principal: str
    tenant: str | None
    """Only subjobs of this tenant; ``None``: of any."""
    queues: tuple[str, ...]
    limit: int
    session_seconds: float
    """Time to live of the session without a heartbeat."""
    request_id: str = ""


@hot
@dataclass(frozen=True, slots=True)
class Lease:
    """A subjob handed to a worker."""

    token: str
    """``<subjob>.<attempt>.<24 hex digits>``: attempt number plus 96 random bits; compared in constant time."""
    job: Job
    subjob: Subjob
    attempt: int
    expires_at: Micros
    seconds: float | None = None
    """How long the attempt may take; ``None``: without limit."""


@dataclass(frozen=True, slots=True)
class Acquired:
    """The answer to an acquire."""

    leases: tuple[Lease, ...] = ()
    again_in: float | None = None
    """Seconds after which the rate of a queue lets out more; nobody is told of that."""


class Directive(StrEnum):
    """What a worker is told about a lease it holds."""

    GO_ON = "GO_ON"
    CANCEL = "CANCEL"
    SUSPEND = "SUSPEND"
    LOST = "LOST"


@dataclass(frozen=True, slots=True)
class HeldSubjob:
    """What a token is a lease of."""

    job: int
    ordinal: int
    subjob: int
    """Its id."""
    attempt: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A worker says it is alive and which leases it holds."""

    session: str
    principal: str
    tokens: tuple[str, ...]
    session_seconds: float
    messages: Mapping[str, str] = field(default_factory=dict)
    """Progress words by token; they become the subjob's message."""


@dataclass(frozen=True, slots=True)
class Beaten:
    """The answer to a heartbeat: one directive per token, in order."""

    directives: tuple[Directive, ...]
    expires_at: Micros


@dataclass(frozen=True, slots=True)
class AppendLog:
    """A worker adds to the log of its attempt."""

    token: str
    principal: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Settle:
    """A worker ends an attempt: complete, fail or release."""

    token: str
    principal: str
    outcome: Outcome
    """SUCCEEDED, FAILED, PARTIALLY_FAILED, CANCELLED or RELEASED."""
    result: str = "null"
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """The answer to a settle; the same again for the same settle sent twice."""

    job: int
    subjob_state: State
    job_state: State
