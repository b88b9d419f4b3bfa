"""What can be read outside transactions, and how a list of jobs is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from jobyard_server.usecases.ports.schedules import ScheduleReader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobyard_server.domain.catalog import Definition, Executor, Queue, Record
    from jobyard_server.domain.delivery import Delivery, DeliveryState
    from jobyard_server.domain.event import Event
    from jobyard_server.domain.fields import Kind
    from jobyard_server.domain.filter import Expression
    from jobyard_server.domain.job import Attempt, Attribute, Job, Micros, Subjob


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


@dataclass(frozen=True, slots=True)
class DefinitionQuery:
    """Which definitions of one kind, in which order, from where on."""

    api: str
    tenant: str | None
    """``None``: of all tenants that the condition leaves."""
    kind: str
    attributes: Mapping[str, Kind]
    """Those that conditions and orders may name, beside columns."""
    where: Expression | None = None
    order: tuple[Order, ...] = ()
    """``id`` is always the last key."""
    limit: int = 100
    offset: int = 0


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """Which records of one kind, by age, then ``tenant`` and ``id``: the oldest first, unless ``descending``."""

    api: str
    tenant: str | None
    """``None``: of all tenants that the condition leaves."""
    kind: str
    where: Expression | None = None
    """On ``created_at``, ``tenant`` and ``id``."""
    limit: int = 100
    descending: bool = False


class Reader(ScheduleReader, Protocol):
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

    async def first_subjobs(self, jobs: Sequence[int]) -> Mapping[int, Subjob]:
        """The first piece of each of some jobs, by job."""

    async def heard(self, jobs: Sequence[int]) -> Mapping[int, Micros]:
        """When the workers were last heard of that run some jobs, by job; jobs that none runs are left out."""

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

    async def definitions_of(self, query: DefinitionQuery) -> Sequence[Definition]:
        """The definitions a query names."""

    async def count_definitions(self, query: DefinitionQuery) -> int:
        """How many definitions a query names, its paging ignored."""

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

    async def records_of(self, query: RecordQuery) -> Sequence[Record]:
        """The records a query names."""

    async def record_bodies(self, api: str, tenant: str, kind: str, ids: Sequence[str]) -> Mapping[str, str]:
        """The bodies of those of some records that are there, by id. Any number of them."""

    async def blob(self, id_: str) -> bytes | None:
        """The bytes kept under a name."""

    async def blob_piece(self, id_: str, number: int) -> bytes | None:
        """A piece of a blob that came in pieces, by its number from 0; ``None`` behind the last one."""

    async def blob_size(self, id_: str) -> int | None:
        """Bytes of a whole blob; ``None`` when there is none of that name."""

    async def delivery(self, uid: str) -> Delivery | None:
        """One delivery."""

    async def deliveries(
        self,
        *,
        tenant: str | None,
        state: DeliveryState | None = None,
        api: str | None = None,
        job: int | None = None,
        after: int | None = None,
        oldest_first: bool = False,
        limit: int = 100,
    ) -> Sequence[Delivery]:
        """Deliveries, newest first, those behind the number ``after``."""
