"""The nouns a job is made of: Job, Subjob, Attempt, and what a submit brings.

All instants are integers: microseconds since 1970-01-01T00:00:00Z. All durations are seconds as floats.
Free JSON (``spec``, ``payload``, ``result``) is JSON text, kept byte for byte as the client sent it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

from jobyard_server.domain.hot import hot
from jobyard_server.domain.state import Control, Counters, Mode, State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobyard_server.domain.schedule import NewSchedule

Micros: TypeAlias = int
"""An instant: microseconds since the epoch, UTC."""

LATEST: Final[Micros] = 253_402_300_799_999_999
"""The last moment of the year 9999: no calendar of a client goes on behind it."""

LABELS_PREFIX: Final = "labels."
"""How a filter names a label: ``labels.KEY``."""

Attribute: TypeAlias = str | int | None
"""A value an API filters or sorts by. Strings and 64-bit integers only: both databases index them alike."""


class LeaseLoss(StrEnum):
    """What happens to a running subjob whose worker stopped heartbeating."""

    REQUEUE = "REQUEUE"
    TIME_OUT = "TIME_OUT"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a failed attempt is followed by another one.

    With initial 10, multiplier 2 and max 60 the waits are 10, 20, 40, 60, 60 ... seconds, each drawn
    uniformly from the upper half of the wait (jitter).
    """

    max_attempts: int = 1
    """Attempts in all, at least 1. Attempts given back, or lost with their worker, do not count."""
    initial_backoff: float = 10.0
    multiplier: float = 2.0
    max_backoff: float = 600.0
    non_retryable: frozenset[str] = frozenset()
    """Failure reasons after which no retry is made."""


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long things may take, in seconds; ``None`` is no limit."""

    start: float | None = None
    """Waiting for a worker, each time anew."""
    attempt: float | None = None
    """One attempt."""
    heartbeat: float | None = None
    """Between two signs of life of an attempt."""
    total: float | None = None
    """A subjob in all, from its submit, or from when a user had it retried."""


@hot
@dataclass(frozen=True, slots=True)
class Job:
    """A request to run something."""

    number: int
    uid: str
    api: str
    tenant: str
    external_id: str | None
    mode: Mode
    state: State
    state_word: str
    """The state in the words of the job's own API."""
    reason: str
    """Why it is in this state, one upper-case word; empty when there is nothing to say."""
    message: str
    control: Control
    counters: Counters
    generation: int
    revision: int
    """Grows by one with every change of the row; the etag."""
    definition: str
    definition_version: int
    queue: str
    priority: int
    fair_key: str
    display_name: str
    spec: str
    attributes: Mapping[str, Attribute]
    labels: Mapping[str, str]
    resumable: bool
    """FAILED, and may be resumed: not terminal yet."""
    created_by: str
    created_at: Micros
    updated_at: Micros
    started_at: Micros | None
    finished_at: Micros | None
    expires_at: Micros | None
    last_event: int
    """``job_seq`` of the newest event."""
    parent: int | None = None
    """Number of the SCHEDULED job that made it."""
    due_at: Micros | None = None
    """The due time it was made for."""

    @property
    def terminal(self) -> bool:
        """Ended, and not to be resumed."""
        return self.state.terminal and not (self.resumable and self.state is State.FAILED)


@hot
@dataclass(frozen=True, slots=True)
class Subjob:
    """The piece of a job given to one executor."""

    id: int
    job: int
    ordinal: int
    key: str
    """Who it is for in the words of its API: a producer id, a target; empty for the only piece of a job."""
    queue: str
    priority: int
    fair_key: str
    state: State
    reason: str
    message: str
    generation: int
    payload: str
    result: str
    attempts: int
    """Attempts made so far, counted for the retry policy."""
    attempt_no: int
    """Number of the newest attempt; the fencing token of its lease is built on it."""
    wake_at: Micros | None
    created_at: Micros
    updated_at: Micros
    started_at: Micros | None
    finished_at: Micros | None
    limit_at: Micros | None = None
    """When it has to be started, or its attempt to be over."""
    silence_at: Micros | None = None
    """When its worker has to be heard of."""
    total_at: Micros | None = None
    """When it has to be over for good."""

    @property
    def deadline(self) -> Micros | None:
        """When a time limit ends what it does now."""
        if self.limit_at is self.silence_at is self.total_at is None:
            # Most have no limits.
            return None
        now_at = {State.PENDING: (self.limit_at,), State.RUNNING: (self.limit_at, self.silence_at)}
        ends = [] if self.state.terminal else [*now_at.get(self.state, ()), self.total_at]
        return min((at for at in ends if at is not None), default=None)


class Outcome(StrEnum):
    """How an attempt ended."""

    OPEN = "OPEN"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    PARTIALLY_FAILED = "PARTIALLY_FAILED"
    CANCELLED = "CANCELLED"
    RELEASED = "RELEASED"
    """Given back by the worker; not counted as an attempt."""
    LOST = "LOST"
    """The worker stopped heartbeating."""
    FENCED = "FENCED"
    """Closed from above: forced cancel, a time limit, or an authority finished the job."""


@hot
@dataclass(frozen=True, slots=True)
class Attempt:
    """One lease or delivery of a subjob; immutable once it ended."""

    subjob: int
    number: int
    worker: str
    outcome: Outcome
    reason: str
    message: str
    exit_code: int | None
    started_at: Micros
    ended_at: Micros | None
    log_size: int
    """Bytes of log received, kept or not."""


@hot
@dataclass(frozen=True, slots=True)
class NewSubjob:
    """A subjob as a submit brings it."""

    payload: str = "null"
    key: str = ""
    queue: str | None = None
    """Overrides the job's queue."""


class KeyReuse(StrEnum):
    """What a second submit under a used idempotency key gets when its body differs."""

    REFUSE = "REFUSE"
    RETURN = "RETURN"
    """The first job, with ``payload_differs`` set (Data One)."""


@hot
@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """The identity of a request. Unique per API and tenant."""

    key: str
    fingerprint: str
    """Hash of what the caller must not change under the same key; empty where that is not known any more."""
    reuse: KeyReuse = KeyReuse.REFUSE
    lifetime: float | None = 86_400.0
    """Seconds the key is remembered; ``None``: as long as the job exists."""


@hot
@dataclass(frozen=True, slots=True)
class NewJob:
    """A job as it is submitted: everything resolved and validated, nothing stored yet."""

    api: str
    tenant: str
    actor: str
    mode: Mode = Mode.ONCE
    external_id: str | None = None
    key: IdempotencyKey | None = None
    definition: str = ""
    definition_version: int = 0
    queue: str = "default"
    priority: int = 0
    fair_key: str = ""
    display_name: str = ""
    spec: str = "{}"
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    subjobs: tuple[NewSubjob, ...] = (NewSubjob(),)
    split_complete: bool = True
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    limits: TimeLimits = field(default_factory=TimeLimits)
    on_lease_loss: LeaseLoss = LeaseLoss.REQUEUE
    resumable: bool = False
    """Whether a FAILED end of this job may be resumed."""
    expires_after: float | None = None
    """Seconds after its end when the job is deleted; ``None``: by the retention policy of its API."""
    request_id: str = ""
    schedule: NewSchedule | None = None
    """Of a SCHEDULED job, which has no subjobs."""
    parent: int | None = None
    due_at: Micros | None = None
