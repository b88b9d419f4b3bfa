"""Statements over lists of rows in PostgreSQL: the lists travel as one array for each column.

However long the lists are, the text of a statement and the types of its parameters stay the same, so the server finds
it prepared.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from psycopg import RawCursor, RawServerCursor
from psycopg.pq import ExecStatus
from typing_extensions import override

from jobyard_server.store.columns import METADATA
from jobyard_server.store.dialect import POSTGRESQL
from jobyard_server.store.postgresql_writes import Gathered, Literal, Write, given_rows, literal, types_of
from jobyard_server.store.sets import Sets

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence

    from psycopg import Connection

    from jobyard_server.store.sets import Row

NAMES: Final = 0x6A6F6221
"""The space of advisory locks by name; :data:`NUMBERS` is another one."""
NUMBERS: Final = 0x6A6F6223
EVENTS: Final = 0x6A6F6224
CLOSURES: Final = 0x6A6F6226
BUCKETS: Final = 1 << 16
ROWS_AT_ONCE: Final = 64

_PLACE: Final = re.compile(r"'[^']*'|\?")
_LOCK_NAMES: Final = "SELECT pg_advisory_xact_lock({space}, bucket) FROM unnest($1::int8[]::int4[]) AS bucket"
# Looked at once, before the first row. Whoever holds this only writes his events and commits: he waits for nobody, and
# so nobody waits for him in a circle.
_HOLDING: Final = f"WHERE (SELECT pg_advisory_xact_lock({EVENTS}, 0) IS NOT NULL)"
_NUMBER: Final = "SELECT pg_current_xact_id()::text"
_HOLD_CLOSURES: Final = f"SELECT pg_advisory_xact_lock({CLOSURES}, 0)"
_LOCK_JOBS: Final = "SELECT 1 FROM jobs WHERE number IN (SELECT number FROM given) ORDER BY number FOR UPDATE"
# One after the other, from left to right; the lock is held no longer than that.
_RESERVE: Final = (
    f"pg_advisory_lock({NUMBERS}, ?::int4), "
    "setval('{sequence}', nextval('{sequence}') + ?::int8 - 1), "
    f"pg_advisory_unlock({NUMBERS}, ?::int4)"
)
_TOOK: Final = (
    f"SELECT pg_advisory_lock({NUMBERS}, $2::int4), "
    "setval($1::text::regclass, greatest(nextval($1::text::regclass), $3::int8)), "
    f"pg_advisory_unlock({NUMBERS}, $2::int4)"
)
_NEWEST: Final = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}"


class PostgresSets(Sets):
    """Set-based statements on one connection, which others write beside."""

    dialect = POSTGRESQL

    def __init__(self, connection: Connection[Any], *, gathers: bool = False) -> None:
        """``gathers``: what is inserted and updated waits until something is read, or everything is sent."""
        self._connection = connection
        self._cursor = RawCursor(connection)
        self._gathered = Gathered() if gathers else None
        self.began_at = 0
        """When the transaction began, by the clock of the database, in microseconds."""
        self.transaction: str | None = None
        """The number of the transaction, where it is known already that it has one."""
        self._last: tuple[str, tuple[str, ...], Row] | None = None

    def _execute(self, sql: str, parameters: Row = ()) -> RawCursor[tuple[Any, ...]]:
        self.send()
        return self._cursor.execute(sql, parameters)

    @override
    def send(self) -> None:
        if self._gathered is not None and self._gathered.writes:
            self._cursor.execute(*self._gathered.take())

    @override
    def drop(self) -> None:
        if self._gathered is not None:
            self._gathered.writes.clear()

    def _write(self, write: Write) -> None:
        if self._gathered is None:
            self._cursor.execute(write.sql(1), write.given.values)
            return
        # Parts of one statement do not see what the others did.
        if self._gathered.holds(write.table):
            self.send()
        self._gathered.writes.append(write)

    @override
    def run(self, sql: str, parameters: Row = ()) -> int:
        return self._execute(_native(sql), parameters).rowcount

    @override
    def all(self, sql: str, parameters: Row = ()) -> list[tuple[Any, ...]]:
        cursor = self._execute(_native(sql), parameters)
        return _rows(cursor)

    @override
    def each(self, sql: str, parameters: Row = ()) -> Generator[tuple[Any, ...], None, None]:
        self.send()
        with RawServerCursor(self._connection, "each") as cursor:
            cursor.itersize = ROWS_AT_ONCE
            yield from cursor.execute(_native(sql), parameters)

    @override
    def insert(self, table: str, columns: tuple[str, ...], rows: Sequence[Row], conflict: str = "") -> None:
        if rows:
            self._write(Write(table, given_rows(table, columns, rows, 1), behind=conflict))

    @override
    def update(self, table: str, keys: tuple[str, ...], columns: tuple[str, ...], rows: Sequence[Row]) -> None:
        if rows:
            self._write(Write(table, given_rows(table, keys + columns, rows, len(keys)), keys))

    @override
    def insert_last(self, table: str, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
        write = Write(table, given_rows(table, columns, rows, 1), behind=_HOLDING)
        # What has waited is sent before: who holds the lock has nothing else to do but to write this and to commit.
        ((self.transaction,),) = self._execute(
            f"WITH last AS ({write.sql(1)}) {_NUMBER}", write.given.values
        ).fetchall()

        self._last = table, columns, rows[-1]

    def last_of(self, other: PostgresSets) -> bool:
        """Whether the very last row that was written over another connection is there."""
        if other._last is None:
            return False
        table, columns, row = other._last
        known = [(name, value) for name, value in zip(columns, row, strict=True) if value is not None]
        names, values = zip(*known, strict=True)
        match = " AND ".join(f"{table}.{name} = given.{name}" for name in names)
        return bool(self.among(names, [values], f"SELECT 1 FROM given CROSS JOIN {table} WHERE {match}"))

    @override
    def among(self, names: tuple[str, ...], rows: Sequence[Row], sql: str) -> list[tuple[Any, ...]]:
        if not rows:
            return []
        types = tuple(_type_among(name, rows, at) for at, name in enumerate(names))
        cursor = self._execute(_among(names, types, sql), _arrays(types, rows))
        return _rows(cursor)

    @override
    def reserve(self, counts: Mapping[str, int]) -> dict[str, int]:
        sequences = [_sequence(table) for table in counts]
        parameters: list[int] = []
        for sequence, count in zip(sequences, counts.values(), strict=True):
            bucket = _bucket(sequence)
            parameters += (bucket, count, bucket)
        sql = "SELECT " + ", ".join(_RESERVE.format(sequence=sequence) for sequence in sequences)
        (found,) = self.all(sql, parameters)
        return {table: last - count + 1 for (table, count), last in zip(counts.items(), found[1::3], strict=True)}

    @override
    def took(self, table: str, number: int) -> None:
        sequence = _sequence(table)
        self.all(_TOOK, (sequence, _bucket(sequence), number))

    @override
    def newest(self, table: str) -> int:
        ((number,),) = self.all(_NEWEST.format(sequence=_sequence(table)))
        return int(number)

    @override
    def hold(self, names: Iterable[str]) -> None:
        # In one order, and each once, so that nobody waits in a circle for these alone.
        buckets = sorted({_bucket(name) for name in names})
        if buckets:
            sql = _LOCK_NAMES.format(space=NAMES)
            self._execute(sql, (literal("int8", buckets),))

    @override
    def hold_closures(self) -> None:
        self.all(_HOLD_CLOSURES)

    @override
    def lock_jobs(self, numbers: Iterable[int]) -> None:
        self.among(("number",), [(number,) for number in sorted(set(numbers))], _LOCK_JOBS)


@lru_cache(maxsize=4096)
def _native(sql: str) -> str:
    """The statement with its parameters numbered, as the server has them."""
    count = 0

    def numbered(found: re.Match[str]) -> str:
        nonlocal count
        if found[0] != "?":
            return found[0]
        count += 1
        return f"${count}"

    return _PLACE.sub(numbered, sql)


def _rows(cursor: RawCursor[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The rows of a statement, if it is one that has any; what it says of their columns would cost more than they."""
    result = cursor.pgresult
    return cursor.fetchall() if result is not None and result.status == ExecStatus.TUPLES_OK else []


def _bucket(name: str) -> int:
    return crc32(name.encode("utf-8", "surrogatepass")) % BUCKETS


@lru_cache(maxsize=64)
def _sequence(table: str) -> str:
    (key,) = METADATA.tables[table].primary_key.columns
    return f"{table}_{key.name}_seq"


@lru_cache(maxsize=1)
def _types_by_name() -> dict[str, str]:
    return {name: type_ for table in METADATA.tables for name, type_ in types_of(table).items()}


_OF_VALUE: Final[dict[type, str]] = {int: "int8", bool: "bool", float: "float8", bytes: "bytea"}


def _type_among(name: str, rows: Sequence[Row], at: int) -> str:
    """The type of a list by its values; by the name of the column where all are missing."""
    for row in rows:
        if row[at] is not None:
            return _OF_VALUE.get(type(row[at]), "text")
    return _types_by_name().get(name, "text")


def _given(names: tuple[str, ...], types: tuple[str, ...]) -> str:
    arrays = ", ".join(f"${place}::{type_}[]" for place, type_ in enumerate(types, 1))
    return f"unnest({arrays}) AS given ({', '.join(names)})"


@lru_cache(maxsize=1024)
def _among(names: tuple[str, ...], types: tuple[str, ...], sql: str) -> str:
    return f"WITH given AS (SELECT * FROM {_given(names, types)}) {sql}"


def _arrays(types: tuple[str, ...], rows: Sequence[Row]) -> list[Literal]:
    return [literal(type_, values) for type_, values in zip(types, zip(*rows, strict=True), strict=True)]
