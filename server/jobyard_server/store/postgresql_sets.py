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
from psycopg.adapt import Dumper
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import StrDumper, StrDumperUnknown
from sqlalchemy import BigInteger, Boolean, Double, Integer, LargeBinary, Text
from typing_extensions import override

from jobyard_server.store.columns import METADATA
from jobyard_server.store.dialect import POSTGRESQL
from jobyard_server.store.sets import Sets

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

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
# Whoever holds this only writes his events and commits: he waits for nobody, and so nobody waits for him in a circle.
_HOLD_EVENTS: Final = f"SELECT pg_current_xact_id_if_assigned()::text, pg_advisory_xact_lock({EVENTS}, 0)"
_HOLD_CLOSURES: Final = f"SELECT pg_advisory_xact_lock({CLOSURES}, 0)"
_LOCK_JOBS: Final = "SELECT 1 FROM jobs WHERE number IN (SELECT number FROM given) ORDER BY number FOR UPDATE"
# One after the other, from left to right; the lock is held no longer than that.
_RESERVE: Final = (
    f"SELECT pg_advisory_lock({NUMBERS}, $2::int4), "
    "setval($1::text::regclass, nextval($1::text::regclass) + $3::int8 - 1) - $3::int8 + 1, "
    f"pg_advisory_unlock({NUMBERS}, $2::int4)"
)
_TOOK: Final = (
    f"SELECT pg_advisory_lock({NUMBERS}, $2::int4), "
    "setval($1::text::regclass, greatest(nextval($1::text::regclass), $3::int8)), "
    f"pg_advisory_unlock({NUMBERS}, $2::int4)"
)
_NEWEST: Final = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}"


class Literal(str):
    """A text whose type the server finds out: an array as it is written there."""

    __slots__ = ()


def adapt(connection: Connection[Any]) -> None:
    """Let every number be 64 bits and every text be text: one type for each, so that plans are found again."""
    dumpers: tuple[tuple[type, type[Dumper]], ...] = (
        (int, Int8Dumper),
        (str, StrDumper),
        (Literal, StrDumperUnknown),
    )
    for type_, dumper in dumpers:
        connection.adapters.register_dumper(type_, dumper)


class PostgresSets(Sets):
    """Set-based statements on one connection, which others write beside."""

    dialect = POSTGRESQL

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection
        self._cursor = RawCursor(connection)
        self.began_at = 0
        """When the transaction began, by the clock of the database, in microseconds."""
        self.transaction: str | None = None
        """The number of the transaction, where it is known already that it has one."""

    @override
    def run(self, sql: str, parameters: Row = ()) -> int:
        return self._cursor.execute(_native(sql), parameters).rowcount

    @override
    def all(self, sql: str, parameters: Row = ()) -> list[tuple[Any, ...]]:
        cursor = self._cursor.execute(_native(sql), parameters)
        return cursor.fetchall() if cursor.description is not None else []

    @override
    def each(self, sql: str, parameters: Row = ()) -> Generator[tuple[Any, ...], None, None]:
        with RawServerCursor(self._connection, "each") as cursor:
            cursor.itersize = ROWS_AT_ONCE
            yield from cursor.execute(_native(sql), parameters)

    @override
    def insert(self, table: str, columns: tuple[str, ...], rows: Sequence[Row], conflict: str = "") -> int:
        if not rows:
            return 0
        types = tuple(_types_of(table)[name] for name in columns)
        given = _given(columns, types)
        sql = f"INSERT INTO {table} ({', '.join(columns)}) SELECT * FROM {given} {conflict}"
        return self._cursor.execute(sql, _arrays(types, rows)).rowcount

    @override
    def update(self, table: str, keys: tuple[str, ...], columns: tuple[str, ...], rows: Sequence[Row]) -> int:
        if not rows:
            return 0
        own = _types_of(table)
        types = tuple(own[name] for name in keys + columns)
        return self._cursor.execute(_update(table, keys, columns, types), _arrays(types, rows)).rowcount

    @override
    def among(self, names: tuple[str, ...], rows: Sequence[Row], sql: str) -> list[tuple[Any, ...]]:
        if not rows:
            return []
        types = tuple(_type_among(name, rows, at) for at, name in enumerate(names))
        cursor = self._cursor.execute(_among(names, types, sql), _arrays(types, rows))
        return cursor.fetchall() if cursor.description is not None else []

    @override
    def reserve(self, table: str, count: int) -> int:
        sequence = _sequence(table)
        ((_, first, _),) = self.all(_RESERVE, (sequence, _bucket(sequence), count))
        return int(first)

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
            self._cursor.execute(sql, (_literal("int8", buckets),))

    @override
    def hold_closures(self) -> None:
        self.all(_HOLD_CLOSURES)

    @override
    def hold_events(self) -> None:
        ((self.transaction, _),) = self.all(_HOLD_EVENTS)

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


def _bucket(name: str) -> int:
    return crc32(name.encode("utf-8", "surrogatepass")) % BUCKETS


@lru_cache(maxsize=64)
def _sequence(table: str) -> str:
    (key,) = METADATA.tables[table].primary_key.columns
    return f"{table}_{key.name}_seq"


@lru_cache(maxsize=64)
def _types_of(table: str) -> dict[str, str]:
    return {column.name: _type(column.type) for column in METADATA.tables[table].columns}


def _type(type_: object) -> str:
    match type_:
        case Text():
            return "text"
        case BigInteger() | Integer():
            return "int8"
        case Boolean():
            return "bool"
        case Double():
            return "float8"
        case LargeBinary():
            return "bytea"
        case _:
            raise TypeError(f"no column is of the type {type_!r}")


@lru_cache(maxsize=1)
def _types_by_name() -> dict[str, str]:
    return {name: type_ for table in METADATA.tables for name, type_ in _types_of(table).items()}


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


@lru_cache(maxsize=1024)
def _update(table: str, keys: tuple[str, ...], columns: tuple[str, ...], types: tuple[str, ...]) -> str:
    changes = ", ".join(f"{column} = given.{column}" for column in columns)
    match = " AND ".join(f"{table}.{key} = given.{key}" for key in keys)
    return f"UPDATE {table} SET {changes} FROM {_given(keys + columns, types)} WHERE {match}"


def _arrays(types: tuple[str, ...], rows: Sequence[Row]) -> list[Literal]:
    return [_literal(type_, values) for type_, values in zip(types, zip(*rows, strict=True), strict=True)]


def _literal(type_: str, values: Iterable[Any]) -> Literal:
    """An array as the server reads it: made here, it costs a fifth of what the driver takes for it."""
    element = _ELEMENTS[type_]
    return Literal("{" + ",".join(["NULL" if value is None else element(value) for value in values]) + "}")


def _text_element(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


_ELEMENTS: Final[dict[str, Callable[[Any], str]]] = {
    "int8": lambda value: str(int(value)),
    "text": _text_element,
    "bool": lambda value: "t" if value else "f",
    "float8": lambda value: repr(float(value)),
    "bytea": lambda value: f'"\\\\x{bytes(value).hex()}"',
}
