"""Reads of the catalog: definitions, executors, queues and records."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, TypeVar

from jobyard_server.store import query_definitions
from jobyard_server.store import rows_catalog as rows
from jobyard_server.store.blobs import read_blob
from jobyard_server.store.rows import given, kept
from jobyard_server.store.uploads import blob_size, read_piece

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jobyard_server.domain.catalog import Definition, Executor, Queue, Record
    from jobyard_server.store.dialect import Dialect
    from jobyard_server.store.sets import Sets
    from jobyard_server.usecases.ports import DefinitionQuery, RecordQuery

T = TypeVar("T")

_DEFINITIONS: Final = f"SELECT {', '.join(rows.DEFINITION_COLUMNS)} FROM definitions"
_EXECUTORS: Final = f"SELECT {', '.join(rows.EXECUTOR_COLUMNS)} FROM executors"
_QUEUES: Final = f"SELECT {', '.join(rows.QUEUE_COLUMNS)} FROM queues"
_RECORDS: Final = f"SELECT {', '.join(rows.RECORD_COLUMNS)} FROM records"
_RECORD_KEY: Final = ("api", "tenant", "kind", "id")
_BODIES: Final = (
    "SELECT r.id, r.body FROM given CROSS JOIN records AS r "
    "WHERE r.api = given.api AND r.tenant = given.tenant AND r.kind = given.kind AND r.id = given.id"
)


class CatalogReader(ABC):
    """The part of a reader that reads what operators put."""

    dialect: Dialect

    @abstractmethod
    async def one(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """The only row of a query."""

    @abstractmethod
    async def many(self, sql: str, parameters: Sequence[Any], map_: Callable[[tuple[Any, ...]], T]) -> list[T]:
        """The rows of a query, mapped."""

    @abstractmethod
    async def in_thread(self, read: Callable[[Sets], T]) -> T:
        """Read in a thread, everything as of one moment."""

    async def definition(self, api: str, tenant: str, id_: str, version: int = 0) -> Definition | None:
        """One definition; version 0 is the newest."""
        sql = f"{_DEFINITIONS} WHERE api = ? AND tenant = ? AND id = ?"
        named = (api, kept(tenant), kept(id_))
        if version:
            row = await self.one(f"{sql} AND version = ?", (*named, version))
        else:
            row = await self.one(f"{sql} ORDER BY version DESC LIMIT 1", named)
        return None if row is None else rows.definition(row)

    async def definitions(
        self, api: str | None, tenant: str | None, *, after: tuple[str, str, str, int] | None, limit: int
    ) -> Sequence[Definition]:
        """Definitions by (api, tenant, id, version)."""
        place = None if after is None else (after[0], kept(after[1]), kept(after[2]), after[3])
        where, parameters = _scope(api, tenant, ("api", "tenant", "id", "version"), place)
        sql = f"{_DEFINITIONS}{where} ORDER BY api, tenant, id, version LIMIT {limit:d}"
        return await self.many(sql, parameters, rows.definition)

    async def definitions_of(self, query: DefinitionQuery) -> Sequence[Definition]:
        """The definitions a query names."""
        statement = query_definitions.page(query, self.dialect)
        return await self.many(statement.sql, statement.parameters, rows.definition)

    async def count_definitions(self, query: DefinitionQuery) -> int:
        """How many definitions a query names, its paging ignored."""
        statement = query_definitions.count(query, self.dialect)
        ((number,),) = await self.many(statement.sql, statement.parameters, tuple)
        return int(number)

    async def executor(self, api: str, tenant: str, id_: str) -> Executor | None:
        """One executor."""
        named = (api, kept(tenant), kept(id_))
        row = await self.one(f"{_EXECUTORS} WHERE api = ? AND tenant = ? AND id = ?", named)
        return None if row is None else rows.executor(row)

    async def executors(
        self, api: str | None, tenant: str | None, *, after: tuple[str, str, str] | None, limit: int
    ) -> Sequence[Executor]:
        """Executors by (api, tenant, id)."""
        place = None if after is None else (after[0], kept(after[1]), kept(after[2]))
        where, parameters = _scope(api, tenant, ("api", "tenant", "id"), place)
        return await self.many(
            f"{_EXECUTORS}{where} ORDER BY api, tenant, id LIMIT {limit:d}", parameters, rows.executor
        )

    async def queue(self, name: str) -> Queue | None:
        """One queue, if it was ever put."""
        row = await self.one(f"{_QUEUES} WHERE name = ?", (kept(name),))
        return None if row is None else rows.queue(row)

    async def queues(self) -> Sequence[Queue]:
        """All queues that were put."""
        return await self.many(f"{_QUEUES} ORDER BY name", (), rows.queue)

    async def record(self, api: str, tenant: str, kind: str, id_: str) -> Record | None:
        """One record."""
        named = (api, kept(tenant), kept(kind), kept(id_))
        row = await self.one(f"{_RECORDS} WHERE api = ? AND tenant = ? AND kind = ? AND id = ?", named)
        return None if row is None else rows.record(row)

    async def record_bodies(self, api: str, tenant: str, kind: str, ids: Sequence[str]) -> Mapping[str, str]:
        """The bodies of those of some records that are there, by id."""
        scope = (api, kept(tenant), kept(kind))
        rows_ = [(*scope, kept(id_)) for id_ in ids]
        found = await self.in_thread(lambda sets: sets.among(_RECORD_KEY, rows_, _BODIES))
        return {given(id_): body for id_, body in found}

    async def blob(self, id_: str) -> bytes | None:
        """The bytes kept under a name."""
        return await self.in_thread(lambda sets: read_blob(sets, id_))

    async def blob_piece(self, id_: str, number: int) -> bytes | None:
        """A piece of a blob by its number; ``None`` behind the last one."""
        return await self.in_thread(lambda sets: read_piece(sets, id_, number))

    async def blob_size(self, id_: str) -> int | None:
        """Bytes of a whole blob; ``None`` when there is none of that name."""
        return await self.in_thread(lambda sets: blob_size(sets, id_))

    async def records(
        self, api: str, tenant: str | None, kind: str, *, after: str | None, limit: int
    ) -> Sequence[Record]:
        """Records of a kind by id."""
        where, parameters = _scope(api, tenant, ("id",), None if after is None else (kept(after),))
        sql = f"{_RECORDS}{where} AND kind = ? ORDER BY id, tenant LIMIT {limit:d}"
        return await self.many(sql, (*parameters, kept(kind)), rows.record)

    async def records_of(self, query: RecordQuery) -> Sequence[Record]:
        """The records a query names."""
        statement = query_definitions.records(query, self.dialect)
        return await self.many(statement.sql, statement.parameters, rows.record)


def _scope(
    api: str | None, tenant: str | None, keys: tuple[str, ...], after: tuple[Any, ...] | None
) -> tuple[str, list[Any]]:
    """The rows of an API and tenant behind a key."""
    parts: list[str] = []
    parameters: list[Any] = []
    for column, value in (("api", api), ("tenant", None if tenant is None else kept(tenant))):
        if value is not None:
            parts.append(f"{column} = ?")
            parameters.append(value)
    if after is not None:
        parts.append(f"({', '.join(keys)}) > ({', '.join('?' * len(keys))})")
        parameters.extend(after)
    return (f" WHERE {' AND '.join(parts)}" if parts else ""), parameters
