"""The part of a transaction that writes the catalog: definitions, executors, queues and records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from typing_extensions import Buffer

from jobyard_server.store import rows_catalog as rows
from jobyard_server.store.blobs import blob_bytes, drop_blob, put_blob
from jobyard_server.store.rows import attributes_text, kept
from jobyard_server.store.uploads import append_upload, finish_upload

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobyard_server.domain.catalog import Definition, Executor, NewDefinition, NewExecutor, Queue, Record
    from jobyard_server.domain.job import Attribute
    from jobyard_server.store.unit import Unit

_KEPT: Final = frozenset({"created_by", "created_at"})


def _upsert(table: str, columns: Sequence[str], keys: Sequence[str], extra: Sequence[str] = ()) -> str:
    """Create or replace a row; who created it and when stay, and its revision grows by one."""
    changed = [name for name in columns if name not in keys and name not in _KEPT and name != "revision"]
    sets = ", ".join(f"{name} = excluded.{name}" for name in changed)
    return (
        f"INSERT INTO {table} ({', '.join((*columns, *extra))}) "
        f"VALUES ({', '.join('?' * (len(columns) + len(extra)))}) "
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {sets}, revision = {table}.revision + 1 "
        f"RETURNING {', '.join(columns)}"
    )


_PUT_DEFINITION: Final = _upsert("definitions", rows.DEFINITION_COLUMNS, ("api", "tenant", "id", "version"))
_PUT_EXECUTOR: Final = _upsert("executors", rows.EXECUTOR_COLUMNS, ("api", "tenant", "id"))
_PUT_QUEUE: Final = _upsert("queues", rows.QUEUE_COLUMNS, ("name",), ("last_served",))
_PUT_RECORD: Final = _upsert("records", rows.RECORD_COLUMNS, ("api", "tenant", "kind", "id"))
_DEFINITION: Final = (
    f"SELECT {', '.join(rows.DEFINITION_COLUMNS)} FROM definitions "
    "WHERE api = ? AND tenant = ? AND id = ? ORDER BY version DESC LIMIT 1"
)
_RECORD: Final = (
    f"SELECT {', '.join(rows.RECORD_COLUMNS)} FROM records WHERE api = ? AND tenant = ? AND kind = ? AND id = ?"
)
_DEFINITIONS: Final = (
    f"SELECT {', '.join(rows.DEFINITION_COLUMNS)} FROM definitions "
    "WHERE api = ? AND tenant = ? AND id >= ? AND id < ? ORDER BY id, version LIMIT ?"
)
_EXECUTOR: Final = f"SELECT {', '.join(rows.EXECUTOR_COLUMNS)} FROM executors WHERE api = ? AND tenant = ? AND id = ?"
_RECORDS: Final = (
    f"SELECT {', '.join(rows.RECORD_COLUMNS)} FROM records "
    "WHERE api = ? AND tenant = ? AND kind = ? AND id >= ? AND id < ? AND id > ? ORDER BY id LIMIT ?"
)
_LAST: Final = "\U0010ffff"
"""Sorts behind every text that goes on otherwise."""


class CatalogTransaction:
    """Puts and removes of what operators and APIs load."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def definition(self, api: str, tenant: str, id_: str) -> Definition | None:
        """The newest version of a definition."""
        found = self._unit.sets.all(_DEFINITION, (api, kept(tenant), kept(id_)))
        return rows.definition(found[0]) if found else None

    def definitions(self, api: str, tenant: str, *, prefix: str = "", limit: int) -> Sequence[Definition]:
        """Definitions whose id begins so, by id and version."""
        begin = kept(prefix)
        found = self._unit.sets.all(_DEFINITIONS, (api, kept(tenant), begin, begin + _LAST, limit))
        return [rows.definition(row) for row in found]

    def put_definition(self, definition: NewDefinition) -> Definition:
        """Create or replace."""
        return rows.definition(self._put(_PUT_DEFINITION, rows.new_definition(definition, self._unit.now)))

    def delete_definition(self, api: str, tenant: str, id_: str, version: int = 0) -> bool:
        """Remove one version, by default the newest; whether it was there."""
        named = (api, kept(tenant), kept(id_))
        sql = "DELETE FROM definitions WHERE api = ? AND tenant = ? AND id = ? AND version = "
        if version:
            return self._unit.sets.run(f"{sql}?", (*named, version)) > 0
        newest = "(SELECT max(version) FROM definitions WHERE api = ? AND tenant = ? AND id = ?)"
        return self._unit.sets.run(sql + newest, (*named, *named)) > 0

    def executor(self, api: str, tenant: str, id_: str) -> Executor | None:
        """One executor."""
        found = self._unit.sets.all(_EXECUTOR, (api, kept(tenant), kept(id_)))
        return rows.executor(found[0]) if found else None

    def put_executor(self, executor: NewExecutor) -> Executor:
        """Create or replace."""
        return rows.executor(self._put(_PUT_EXECUTOR, rows.new_executor(executor, self._unit.now)))

    def delete_executor(self, api: str, tenant: str, id_: str) -> bool:
        """Remove; whether it was there."""
        sql = "DELETE FROM executors WHERE api = ? AND tenant = ? AND id = ?"
        return self._unit.sets.run(sql, (api, kept(tenant), kept(id_))) > 0

    def put_queue(self, queue: Queue) -> Queue:
        """Create or replace; whoever waits for the queue looks at it again."""
        self._unit.woken.add(kept(queue.name))
        return rows.queue(self._put(_PUT_QUEUE, (*rows.new_queue(queue, self._unit.now), "")))

    def delete_queue(self, name: str) -> bool:
        """Back to the defaults; whether it was put."""
        self._unit.woken.add(kept(name))
        self._unit.sets.run("DELETE FROM lanes WHERE queue = ?", (kept(name),))
        return self._unit.sets.run("DELETE FROM queues WHERE name = ?", (kept(name),)) > 0

    def record(self, api: str, tenant: str, kind: str, id_: str) -> Record | None:
        """One record."""
        found = self._unit.sets.all(_RECORD, (api, kept(tenant), kept(kind), kept(id_)))
        return rows.record(found[0]) if found else None

    def records(
        self, api: str, tenant: str, kind: str, *, prefix: str = "", after: str = "", limit: int
    ) -> Sequence[Record]:
        """Records of a kind whose id begins so and comes behind ``after``, by id."""
        begin = kept(prefix)
        values = (api, kept(tenant), kept(kind), begin, begin + _LAST, kept(after), limit)
        return [rows.record(row) for row in self._unit.sets.all(_RECORDS, values)]

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
        now = self._unit.now
        row = (
            *(api, kept(tenant), kept(kind), kept(id_), body, attributes_text(attributes or {})),
            *(1, kept(by), now, now),
        )
        return rows.record(self._put(_PUT_RECORD, row))

    def delete_record(self, api: str, tenant: str, kind: str, id_: str) -> bool:
        """Remove; whether it was there."""
        sql = "DELETE FROM records WHERE api = ? AND tenant = ? AND kind = ? AND id = ?"
        return self._unit.sets.run(sql, (api, kept(tenant), kept(kind), kept(id_))) > 0

    def put_blob(self, id_: str, data: Buffer, *, job: int | None = None) -> None:
        """Keep bytes under a name, for as long as a job if one is named."""
        put_blob(self._unit, id_, data, job)

    def delete_blob(self, id_: str) -> bool:
        """Remove what is kept under a name; whether it was there."""
        return drop_blob(self._unit, id_)

    def append_blob(self, id_: str, first: int, pieces: Sequence[bytes]) -> None:
        """Keep pieces of a blob that is not whole yet; the number 0 begins it anew."""
        append_upload(self._unit, id_, first, pieces)

    def finish_blob(self, id_: str, size: int, digest: str, *, job: int | None = None) -> bool:
        """Say that a blob is whole and whose it is; whether it was there and not whole yet."""
        return finish_upload(self._unit, id_, size, digest, job)

    def blob_bytes(self, prefix: str) -> int:
        """How many bytes are kept under names that begin so."""
        return blob_bytes(self._unit.sets, prefix)

    def _put(self, sql: str, row: Sequence[Any]) -> tuple[Any, ...]:
        (written,) = self._unit.sets.all(sql, row)
        return written
