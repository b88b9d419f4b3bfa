"""Reads outside transactions: single rows at once in the event loop, lists in a few threads of their own."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog
from typing_extensions import override

from jobyard_server.domain.reason import Reason, Refusal, Refused
from jobyard_server.store import rows
from jobyard_server.store.hearing import heard
from jobyard_server.store.query import Statement, job_statements
from jobyard_server.store.reader_catalog import CatalogReader
from jobyard_server.store.reader_deliveries import DeliveryReader
from jobyard_server.store.reader_schedules import ScheduleReads
from jobyard_server.store.trimming import EVENT_FLOOR
from jobyard_server.store.trouble import gone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from jobyard_server.domain.event import Event
    from jobyard_server.domain.job import Attempt, Job, Micros, Subjob
    from jobyard_server.store.clock import Clock
    from jobyard_server.store.database import Database
    from jobyard_server.store.query import JobQueries
    from jobyard_server.store.sets import Sets
    from jobyard_server.usecases.ports import JobQuery

T = TypeVar("T")

THREADS: Final = 4
CHUNK: Final = 64 * 1024
"""No chunk of a log is longer."""

_SUBJOBS: Final = (
    f"SELECT {', '.join(rows.SUBJOB_COLUMNS)} FROM subjobs WHERE job = ? AND ordinal > ? ORDER BY ordinal LIMIT ?"
)
_FIRST: Final = (
    f"SELECT {', '.join(f's.{name}' for name in rows.SUBJOB_COLUMNS)} FROM given "
    "CROSS JOIN subjobs AS s WHERE s.job = given.job AND s.ordinal = 0"
)
_ATTEMPTS: Final = (
    f"SELECT {', '.join(rows.ATTEMPT_COLUMNS)} FROM attempts WHERE subjob = ? AND number > ? ORDER BY number LIMIT ?"
)
_LOG: Final = (
    "SELECT start, data FROM log_chunks "
    "WHERE subjob = ? AND attempt = ? AND start > ? AND start + length(data) > ? ORDER BY start LIMIT 256"
)
_FLOOR: Final = f"SELECT value FROM meta WHERE name = '{EVENT_FLOOR}'"

_log = structlog.get_logger(__name__)


class Reader(CatalogReader, DeliveryReader, ScheduleReads):
    """The reads of one process. Single rows cost less than the way to a thread and back."""

    def __init__(self, database: Database, queries: JobQueries, clock: Clock) -> None:
        self.clock = clock
        self._database = database
        self.dialect = database.dialect
        self._queries = queries
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="store-reader")

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()

    @override
    async def one(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """The only row of a query that reads one, through an index."""
        if self._database.point is not None:
            with _answering():
                found = self._database.point.all(sql, parameters)
        else:
            found = await self._work(lambda sets: sets.all(sql, parameters), snapshot=False)
        return found[0] if found else None

    @override
    async def many(self, sql: str, parameters: Sequence[Any], map_: Callable[[tuple[Any, ...]], T]) -> list[T]:
        """The rows of a query, mapped, both in a thread."""
        return await self.in_thread(lambda sets: [map_(row) for row in sets.all(sql, parameters)])

    @override
    async def in_thread(self, read: Callable[[Sets], T]) -> T:
        return await self._work(read, snapshot=True)

    async def _work(self, read: Callable[[Sets], T], *, snapshot: bool) -> T:
        def work() -> T:
            with _answering():
                return self._database.read(read, snapshot=snapshot)

        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def job(self, ref: str | int, *, api: str | None, tenant: str | None) -> Job | None:
        """One job by number (int), or by uid or external id (str); ``api=None`` looks by number and uid only."""
        for statement in job_statements(ref, api, tenant):
            if (row := await self.one(statement.sql, statement.parameters)) is not None:
                return rows.job(row)
        return None

    async def jobs(self, query: JobQuery) -> Sequence[Job]:
        """The jobs a query names."""
        statements = self._queries.pages(query)
        return await self.in_thread(lambda sets: _page(sets, statements, query.limit))

    async def count_jobs(self, query: JobQuery) -> int:
        """How many jobs a query names, its paging ignored."""
        statement = self._queries.count(query)
        ((count,),) = await self.many(statement.sql, statement.parameters, tuple)
        return int(count)

    async def newest_number(self) -> int:
        """The highest job number given so far; 0 in an empty store."""
        return await self._newest("jobs")

    async def _newest(self, table: str) -> int:
        if self._database.point is not None:
            with _answering():
                return self._database.point.newest(table)
        return await self._work(lambda sets: sets.newest(table), snapshot=False)

    async def subjobs(self, job: int, *, after: int = -1, limit: int = 1000) -> Sequence[Subjob]:
        """Subjobs of a job by ordinal, those above ``after``."""
        return await self.many(_SUBJOBS, (job, after, limit), rows.subjob)

    async def first_subjobs(self, jobs: Sequence[int]) -> Mapping[int, Subjob]:
        """The first piece of each of some jobs, by job."""
        if not jobs:
            return {}
        found = await self.in_thread(lambda sets: sets.among(("job",), [(job,) for job in jobs], _FIRST))
        return {subjob.job: subjob for subjob in map(rows.subjob, found)}

    async def heard(self, jobs: Sequence[int]) -> Mapping[int, Micros]:
        """When the workers were last heard of that run some jobs, by job; jobs that none runs are left out."""
        found = await self.in_thread(lambda sets: heard(sets, jobs)) if jobs else {}
        return {job: seen_at for job, (seen_at, _) in found.items()}

    async def attempts(self, subjob: int, *, after: int = 0, limit: int = 100) -> Sequence[Attempt]:
        """Attempts of a subjob by number, those above ``after``."""
        return await self.many(_ATTEMPTS, (subjob, after, limit), rows.attempt)

    async def log(self, subjob: int, attempt: int, *, offset: int, limit: int) -> tuple[bytes, int]:
        """At most ``limit`` bytes of an attempt's log from ``offset`` on, and the offset they start at."""
        parameters = (subjob, attempt, offset - CHUNK, offset)
        return await self.in_thread(lambda sets: _joined(sets.all(_LOG, parameters), offset, limit))

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
        where = "position > ?"
        parameters: list[Any] = [after]
        kept = None if tenant is None else rows.kept(tenant)
        for column, value in (("api = ?", api), ("tenant = ?", kept), ("job = ?", job), ("position <= ?", until)):
            if value is not None:
                where += f" AND {column}"
                parameters.append(value)
        # The events of one job are few and have an index by their order in it, which is the order of positions.
        order = "position" if job is None else "job_seq"
        sql = f"SELECT {', '.join(rows.EVENT_COLUMNS)} FROM events WHERE {where} ORDER BY {order} LIMIT {limit:d}"
        return await self.many(sql, parameters, rows.event)

    async def event_bounds(self) -> tuple[int, int]:
        """(floor, head): positions at or below the floor may have been compacted; head is the newest one."""
        floor = await self.one(_FLOOR)
        compacted = int(floor[0]) if floor is not None else 0
        # The highest number given may belong to an event that is not there yet, or never will be.
        newest = await self.one("SELECT max(position) FROM events")
        return compacted, max(compacted, newest[0] or 0) if newest is not None else compacted


def _page(sets: Sets, statements: Sequence[Statement], limit: int) -> list[Job]:
    """The rows of one query after the other, up to the limit."""
    found: list[Job] = []
    for statement in statements:
        if len(found) < limit:
            found += [rows.job(row) for row in sets.all(statement.sql, statement.parameters)[: limit - len(found)]]
    return found


def _joined(chunks: Sequence[tuple[Any, ...]], offset: int, limit: int) -> tuple[bytes, int]:
    """Chunks that follow each other, cut to what was asked for."""
    data = bytearray()
    start = offset
    for place, chunk in chunks:
        if not data:
            start = max(offset, place)
            data += chunk[start - place :]
        elif place == start + len(data):
            data += chunk
        else:
            break
        if len(data) >= limit:
            break
    return bytes(data[:limit]), start


@contextmanager
def _answering() -> Iterator[None]:
    """Say that the database does not answer."""
    try:
        yield
    except gone() as error:
        raise _unreadable() from error


def _unreadable() -> Refused:
    """Called where the cause is being handled: it is logged, and the caller learns no more than he needs."""
    _log.exception("read_failed")
    return Refused(Refusal(Reason.STORE_UNAVAILABLE, "The database cannot be read.", retry_after=1.0))
