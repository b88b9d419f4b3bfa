"""What closures see of a transaction: jobs, the catalog and deliveries, changed together or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from typing_extensions import Buffer

from jobyard_server.usecases.ports.schedules import ScheduleTx

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jobyard_server.domain.catalog import Definition, Executor, NewDefinition, NewExecutor, Queue, Record
    from jobyard_server.domain.delivery import Delivery, NewDelivery
    from jobyard_server.domain.event import EventType
    from jobyard_server.domain.job import Attribute, Job, Micros, NewJob, NewSubjob, Subjob
    from jobyard_server.domain.state import Actor, Control, State
    from jobyard_server.usecases.ports.reading import JobQuery
    from jobyard_server.usecases.ports.work import HeldSubjob, Submitted


@dataclass(frozen=True, slots=True)
class ImportedJob:
    """A job moved over from another system."""

    new: NewJob
    number: int | None
    state: State
    message: str = ""
    created_at: Micros | None = None
    updated_at: Micros | None = None


class JobTx(Protocol):
    """Jobs and their pieces."""

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

    def jobs(self, query: JobQuery) -> Sequence[Job]:
        """The jobs a query names, locked. A transaction holds up all others: ask for a few."""

    def held_until(self, job: int) -> Micros | None:
        """Until when the worker that runs a job need not be heard of again; ``None`` when none runs it."""

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

    def accept_subjob(self, subjob: Subjob, generation: int, *, by: str = "", request_id: str = "") -> Subjob:
        """Note that an executor reached by push runs a subjob, and at which generation of its job.

        It may run already, at an older generation; a STANDING job runs when one of its subjobs runs the newest one.
        """

    def note_subjob(
        self, subjob: Subjob, *, result: str | None = None, reason: str | None = None, message: str | None = None
    ) -> Subjob:
        """Keep something about a subjob that stays in its state; no event tells of it."""

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

    def import_job(self, job: ImportedJob) -> Job:
        """Write a job that ran elsewhere, with its number, times and state; replaces one of the same number."""

    def held(self, token: str, principal: str) -> HeldSubjob:
        """What a token of this principal is a lease of; raises ``Refused`` with LEASE_LOST when it is none any more."""


class CatalogTx(Protocol):
    """What operators and APIs load."""

    def definition(self, api: str, tenant: str, id_: str) -> Definition | None:
        """The newest version of a definition, locked."""

    def definitions(self, api: str, tenant: str, *, prefix: str = "", limit: int) -> Sequence[Definition]:
        """Definitions whose id begins so, by id and version, locked."""

    def put_definition(self, definition: NewDefinition) -> Definition:
        """Create or replace."""

    def delete_definition(self, api: str, tenant: str, id_: str, version: int = 0) -> bool:
        """Remove; whether it was there."""

    def executor(self, api: str, tenant: str, id_: str) -> Executor | None:
        """One executor, locked."""

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

    def records(
        self, api: str, tenant: str, kind: str, *, prefix: str = "", after: str = "", limit: int
    ) -> Sequence[Record]:
        """Records of a kind whose id begins so and comes behind ``after``, by id, locked."""

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

    def put_blob(self, id_: str, data: Buffer, *, job: int | None = None) -> None:
        """Keep bytes under a name, which its API makes unique; what was there before is replaced.

        Those of a job are removed together with it.
        """

    def append_blob(self, id_: str, first: int, pieces: Sequence[bytes]) -> None:
        """Keep pieces of a blob that is not whole yet, numbered from ``first`` on; 0 begins it anew."""

    def finish_blob(self, id_: str, size: int, digest: str, *, job: int | None = None) -> bool:
        """Say that a blob is whole and whose it is; whether it was there and not whole yet.

        One that nobody finishes is forgotten after an hour.
        """

    def delete_blob(self, id_: str) -> bool:
        """Remove; whether it was there."""

    def blob_bytes(self, prefix: str) -> int:
        """How many bytes are kept under names that begin so."""


class DeliveryTx(Protocol):
    """What is owed to somebody outside."""

    def deliver(self, delivery: NewDelivery) -> Delivery:
        """Owe a call to somebody outside, in the same transaction as the change it tells of.

        Whether it may leave at once is in the answer: ``WAITING`` behind others of its lane, ``READY`` at ``next_at``
        (which is later than now for a destination that is blocked), or ``SENDING`` when it was asked to be claimed
        and could be.
        """

    def withdraw(self, api: str, tenant: str, lane: str, kinds: frozenset[str] = frozenset()) -> int:
        """Take back what a lane still owes and has not begun to send; without ``kinds``, of any. How many it was."""

    def sending(self, api: str, tenant: str, lane: str, kind: str) -> bool:
        """Whether a delivery of a kind is being sent in a lane: nobody knows yet what comes of it."""

    def redrive(self, uid: str, tenant: str | None) -> Delivery | None:
        """Owe a dead delivery again, as if it were new but for its ``uid``; ``None`` when there is no such one.

        Raises ``Refused`` with ``STATE_CONFLICT`` when it is not dead.
        """


JobEnded: TypeAlias = "Callable[[Tx, Job], None]"
"""What an API does when a job of its ends or is removed before its end, or when one is resumed: in the same
transaction, whoever did it."""


class Tx(JobTx, CatalogTx, ScheduleTx, DeliveryTx, Protocol):
    """One transaction, as closures see it. Time and randomness come from here."""
