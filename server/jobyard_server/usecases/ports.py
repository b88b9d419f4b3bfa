"""What the use cases need from the outside, as protocols: the store, its transactions and its readers.

Hot verbs are commands that the store takes in sets (``submit``, ``acquire``, ``heartbeat``, ``settle``); a refusal
of one command never disturbs its neighbours. Every other write is a closure ``(tx) -> result`` run by
:meth:`Store.run`; it may be run again after a rollback, so it touches nothing but its ``tx``.
An answer of any write leaves after its commit is on disk.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jobyard_server.domain.catalog import (
        Definition,
        Executor,
        NewDefinition,
        NewExecutor,
        Queue,
        Record,
    )
    from jobyard_server.domain.event import Event, EventType
    from jobyard_server.domain.filter import Expression
    from jobyard_server.domain.job import Attempt, Attribute, Job, Micros, NewJob, NewSubjob, Outcome, Subjob
    from jobyard_server.domain.signing import Signer
    from jobyard_server.domain.state import Actor, Control, State

T = TypeVar("T")


# --- hot verbs ---------------------------------------------------------------------------------------------------


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


@dataclass(frozen=True, slots=True)
class Lease:
    """A subjob handed to a worker."""

    token: str
    """``<subjob>.<attempt>.<24 hex digits>``: attempt number plus 96 random bits; compared in constant time."""
    job: Job
    subjob: Subjob
    attempt: int
    expires_at: Micros


@dataclass(frozen=True, slots=True)
class Acquired:
    """The answer to an acquire."""

    leases: tuple[Lease, ...] = ()


class Directive(StrEnum):
    """What a worker is told about a lease it holds."""

    GO_ON = "GO_ON"
    CANCEL = "CANCEL"
    SUSPEND = "SUSPEND"
    LOST = "LOST"


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


# --- reading -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Order:
    """One sort key: a column of the job or one of its API's attributes."""

    field: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class JobQuery:
    """Which jobs, in which order, from where on."""

    api: str | None
    """``None``: of every API (only jobs.v1 asks so)."""
    tenant: str | None
    """``None``: of every tenant (only with the permission for it)."""
    where: Expression | None = None
    order: tuple[Order, ...] = (Order("number", descending=True),)
    """``number`` is appended as the last key, in the direction of the last one, when it is missing."""
    after: tuple[Attribute, ...] | None = None
    """Sort values of the last row already seen, ``number`` last."""
    at_most_number: int | None = None
    """Ignore jobs that came later: an ascending walk ends although rows arrive."""
    limit: int = 100
    offset: int = 0
    """Only for APIs whose clients page by offset."""


class Reader(Protocol):
    """Reads outside transactions; each sees what has been committed when it starts."""

    async def job(self, ref: str | int, *, api: str | None, tenant: str | None) -> Job | None:
        """One job by number (int), or by uid or external id (str); ``api=None`` looks by number and uid only."""

    async def jobs(self, query: JobQuery) -> Sequence[Job]:
        """The jobs a query names."""

    async def count_jobs(self, query: JobQuery) -> int:
        """How many jobs a query names, its paging ignored."""

    async def newest_number(self) -> int:
        """The highest job number given so far; 0 in an empty store."""

    async def subjobs(self, job: int, *, after: int = -1, limit: int = 1000) -> Sequence[Subjob]:
        """Subjobs of a job by ordinal, those above ``after``."""

    async def attempts(self, subjob: int, *, after: int = 0, limit: int = 100) -> Sequence[Attempt]:
        """Attempts of a subjob by number, those above ``after``."""

    async def log(self, subjob: int, attempt: int, *, offset: int, limit: int) -> tuple[bytes, int]:
        """At most ``limit`` bytes of an attempt's log from ``offset`` on, and the offset they start at."""

    async def events(
        self,
        *,
        after: int,
        limit: int,
        api: str | None = None,
        tenant: str | None = None,
        job: int | None = None,
        until: int | None = None,
    ) -> Sequence[Event]:
        """Events behind a position, in order."""

    async def event_bounds(self) -> tuple[int, int]:
        """(floor, head): positions at or below the floor may have been compacted; head is the newest one."""

    async def definition(self, api: str, tenant: str, id_: str, version: int = 0) -> Definition | None:
        """One definition; version 0 is the newest."""

    async def definitions(
        self, api: str | None, tenant: str | None, *, after: tuple[str, str, str, int] | None, limit: int
    ) -> Sequence[Definition]:
        """Definitions by (api, tenant, id, version)."""

    async def executors(
        self, api: str | None, tenant: str | None, *, after: tuple[str, str, str] | None, limit: int
    ) -> Sequence[Executor]:
        """Executors by (api, tenant, id)."""

    async def executor(self, api: str, tenant: str, id_: str) -> Executor | None:
        """One executor."""

    async def queue(self, name: str) -> Queue | None:
        """One queue, if it was ever put."""

    async def queues(self) -> Sequence[Queue]:
        """All queues that were put."""

    async def record(self, api: str, tenant: str, kind: str, id_: str) -> Record | None:
        """One record."""

    async def records(
        self, api: str, tenant: str | None, kind: str, *, after: str | None, limit: int
    ) -> Sequence[Record]:
        """Records of a kind by id."""


# --- transactions ------------------------------------------------------------------------------------------------


class Tx(Protocol):
    """One transaction, as closures see it. Time and randomness come from here."""

    @property
    def now(self) -> Micros:
        """The time of the transaction, by the database's clock where it has one."""

    def new_uid(self) -> str:
        """A fresh time-ordered identifier."""

    def submit(self, job: NewJob) -> Submitted:
        """Submit inside a larger transaction; raises ``Refused`` as the hot verb refuses."""

    def job(self, ref: str | int, *, api: str | None, tenant: str | None) -> Job | None:
        """One job, locked until the end of the transaction."""

    def subjobs(self, job: int) -> Sequence[Subjob]:
        """All subjobs of a job, locked, by ordinal."""

    def add_subjobs(self, job: Job, subjobs: Sequence[NewSubjob]) -> Sequence[Subjob]:
        """Append subjobs to a job."""

    def change_subjob(
        self,
        subjob: Subjob,
        state: State,
        *,
        actor: Actor,
        reason: str = "",
        message: str = "",
        result: str | None = None,
        by: str = "",
        request_id: str = "",
    ) -> Subjob:
        """Take a subjob to another state, fence its open attempt where the change ends it, and write the event.

        Illegal changes raise ``Refused`` with ``STATE_CONFLICT``. What is to be CANCELLING but is held by nobody is
        CANCELLED at once. The job row follows at :meth:`refold`, at the latest at the end of the transaction.
        """

    def change_job(
        self,
        job: Job,
        *,
        control: Control | None = None,
        spec: str | None = None,
        attributes: Mapping[str, Attribute] | None = None,
        labels: Mapping[str, str] | None = None,
        display_name: str | None = None,
        message: str | None = None,
        reason: str | None = None,
        generation: int | None = None,
        expires_at: Micros | None = None,
        event: EventType | None = None,
        by: str = "",
        request_id: str = "",
    ) -> Job:
        """Change a job row (its state follows at :meth:`refold`), and append ``event`` if given."""

    def refold(self, job: Job, *, by: str = "", request_id: str = "") -> Job:
        """Recompute the job's state from its counters and control; writes JOB_CHANGED when it differs."""

    def delete_job(self, job: Job, *, by: str, request_id: str = "") -> None:
        """Remove a job with all it owns; its leases are lost; JOB_DELETED stays in the event table."""

    def put_definition(self, definition: NewDefinition) -> Definition:
        """Create or replace."""

    def delete_definition(self, api: str, tenant: str, id_: str, version: int = 0) -> bool:
        """Remove; whether it was there."""

    def put_executor(self, executor: NewExecutor) -> Executor:
        """Create or replace."""

    def delete_executor(self, api: str, tenant: str, id_: str) -> bool:
        """Remove; whether it was there."""

    def put_queue(self, queue: Queue) -> Queue:
        """Create or replace."""

    def delete_queue(self, name: str) -> bool:
        """Back to the defaults; whether it was put."""

    def record(self, api: str, tenant: str, kind: str, id_: str) -> Record | None:
        """One record, locked."""

    def put_record(
        self,
        api: str,
        tenant: str,
        kind: str,
        id_: str,
        body: str,
        *,
        attributes: Mapping[str, Attribute] | None = None,
        by: str = "",
    ) -> Record:
        """Create or replace."""

    def delete_record(self, api: str, tenant: str, kind: str, id_: str) -> bool:
        """Remove; whether it was there."""

    def import_job(self, job: ImportedJob) -> Job:
        """Write a job that ran elsewhere, with its number, times and state; replaces one of the same number."""

    def append_log(self, token: str, principal: str, offset: int, data: bytes) -> int:
        """Keep a chunk of an attempt's log; returns the size received so far. Sent twice, kept once."""


@dataclass(frozen=True, slots=True)
class ImportedJob:
    """A job moved over from another system."""

    new: NewJob
    number: int | None
    state: State
    message: str = ""
    created_at: Micros | None = None
    updated_at: Micros | None = None


class Store(Protocol):
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

    async def settle(self, command: Settle) -> Settled:
        """End an attempt; raises ``Refused`` with LEASE_LOST for a stale token."""

    async def run(self, closure: Callable[[Tx], T]) -> T:
        """Run a closure in a transaction."""

    async def ready(self, queues: Sequence[str], seconds: float) -> None:
        """Return when something may have become ready on one of the queues, at the latest after ``seconds``."""

    async def changed(self, seconds: float) -> None:
        """Return when events may have been appended, at the latest after ``seconds``."""


class Upkeep(Protocol):
    """What time does to a store. Each call is one bounded step; call again at once while it returns more than 0."""

    async def expire_leases(self) -> int:
        """Take back what workers hold that were not heard of; only while the store was reachable all that time."""

    async def wake_due(self) -> int:
        """Make subjobs ready whose wait for another attempt is over."""

    async def forget_keys(self) -> int:
        """Forget request keys whose time is over."""
