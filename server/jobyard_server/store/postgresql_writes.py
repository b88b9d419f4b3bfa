"""Writes of many rows as PostgreSQL takes them: the rows as arrays, and writes to several tables as one statement.

A column that is the same in all rows of a long list travels once. What is written to different tables before anything
is read travels together: every statement costs a way to the server and back, and the interpreter lock twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import orjson
from psycopg.adapt import Dumper
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import StrDumper, StrDumperUnknown
from sqlalchemy import BigInteger, Boolean, Double, Integer, LargeBinary, Text

from jobyard_server.store.columns import METADATA

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psycopg import Connection

    from jobyard_server.store.sets import Row

LONG: Final = 16
"""Rows from which on it is worth to find the columns that are the same in all."""
FORMS: Final = 64
"""Forms of one write that are told apart, so that few statements have to be prepared; beyond, all columns travel."""

_forms: Final[dict[tuple[str, ...], set[tuple[bool, ...]]]] = {}


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


@dataclass(frozen=True, slots=True)
class Given:
    """Rows as parameters: an array for each column, or the value that all rows have."""

    names: tuple[str, ...]
    types: tuple[str, ...]
    same: tuple[bool, ...]
    """Which columns are given by one value."""
    values: list[Literal]


def given_rows(table: str, names: tuple[str, ...], rows: Sequence[Row], keys: int) -> Given:
    """Rows to be written to a table; of the first ``keys`` columns every row has its own."""
    own = types_of(table)
    types = tuple(own[name] for name in names)
    columns = list(zip(*rows, strict=True))
    same = _same((table, *names), columns, keys) if len(rows) >= LONG else (False,) * len(names)
    values = [
        literal(type_, column[:1] if once else column) for type_, column, once in zip(types, columns, same, strict=True)
    ]
    return Given(names, types, same, values)


def _same(what: tuple[str, ...], columns: Sequence[tuple[Any, ...]], keys: int) -> tuple[bool, ...]:
    count = len(columns[0])
    same = tuple(at >= keys and column.count(column[0]) == count for at, column in enumerate(columns))
    known = _forms.setdefault(what, set())
    if same not in known:
        if len(known) >= FORMS:
            return (False,) * len(columns)
        known.add(same)
    return same


def _source(names: tuple[str, ...], types: tuple[str, ...], same: tuple[bool, ...], first: int) -> str:
    """The rows as a table named ``given``, whose parameters are numbered from ``first``."""
    arrays, columns, values = [], [], []
    for place, (name, type_, once) in enumerate(zip(names, types, same, strict=True), first):
        if once:
            # An array of one, so that every value travels in the form that is made here.
            values.append(f"(${place}::{type_}[])[1]")
        else:
            arrays.append(f"${place}::{type_}[]")
            columns.append(name)
            values.append(f"own.{name}")
    own = f"unnest({', '.join(arrays)}) AS own ({', '.join(columns)})"
    named = ", ".join(f"{value} AS {name}" for value, name in zip(values, names, strict=True))
    return f"(SELECT {named} FROM {own}) AS given"


@dataclass(frozen=True, slots=True)
class Write:
    """Rows that are to be inserted into a table, or to replace what is in it."""

    table: str
    given: Given
    keys: tuple[str, ...] = ()
    """What names the rows that are changed; none for rows that are inserted."""
    behind: str = ""
    """What stands behind rows that are inserted: a condition, or what happens where they are there already."""

    def sql(self, first: int) -> str:
        """The statement, whose parameters are numbered from ``first``."""
        given = self.given
        if self.keys:
            return _update(self.table, self.keys, given.names, given.types, given.same, first)
        return _insert(self.table, given.names, given.types, given.same, first) + self.behind


@lru_cache(maxsize=4096)
def _insert(table: str, names: tuple[str, ...], types: tuple[str, ...], same: tuple[bool, ...], first: int) -> str:
    source = _source(names, types, same, first)
    return f"INSERT INTO {table} ({', '.join(names)}) SELECT * FROM {source} "


@lru_cache(maxsize=4096)
def _update(
    table: str,
    keys: tuple[str, ...],
    names: tuple[str, ...],
    types: tuple[str, ...],
    same: tuple[bool, ...],
    first: int,
) -> str:
    source = _source(names, types, same, first)
    changes = ", ".join(f"{name} = given.{name}" for name in names[len(keys) :])
    match = " AND ".join(f"{table}.{key} = given.{key}" for key in keys)
    return f"UPDATE {table} SET {changes} FROM {source} WHERE {match}"


@dataclass(slots=True)
class Gathered:
    """Writes that wait to be sent as one statement, no two of them to one table."""

    writes: list[Write] = field(default_factory=list)

    def holds(self, table: str) -> bool:
        """Whether one of them is to a table."""
        return any(write.table == table for write in self.writes)

    def take(self) -> tuple[str, list[Literal]]:
        """The statement and its parameters; nothing waits afterwards."""
        writes, self.writes = self.writes, []
        parts: list[str] = []
        parameters: list[Literal] = []
        for write in writes:
            parts.append(write.sql(len(parameters) + 1))
            parameters += write.given.values
        *before, last = parts
        if not before:
            return last, parameters
        named = ", ".join(f"w{place} AS ({part})" for place, part in enumerate(before))
        return f"WITH {named} {last}", parameters


@lru_cache(maxsize=64)
def types_of(table: str) -> dict[str, str]:
    """The types of the columns of a table, as the server names them."""
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


def literal(type_: str, values: Sequence[Any]) -> Literal:
    """An array as the server reads it: made here, it costs a fraction of what the driver takes for it.

    JSON writes lists of numbers, of truths and of nearly all texts the same way, and has a fast writer.
    """
    if type_ in _LIKE_JSON:
        try:
            written = orjson.dumps(values).decode()
        except TypeError:
            # A number or a text that JSON does not hold: the server says what is wrong with it.
            written = "\\"
        # What JSON escapes, arrays escape otherwise.
        if "\\" not in written:
            return Literal(f"{{{written[1:-1]}}}")
    element = _ELEMENTS[type_]
    return Literal("{" + ",".join(["NULL" if value is None else element(value) for value in values]) + "}")


def _text_element(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


_LIKE_JSON: Final = frozenset({"int8", "text", "bool"})
_ELEMENTS: Final[dict[str, Callable[[Any], str]]] = {
    "int8": lambda value: str(int(value)),
    "text": _text_element,
    "bool": lambda value: "t" if value else "f",
    "float8": lambda value: repr(float(value)),
    "bytea": lambda value: f'"\\\\x{bytes(value).hex()}"',
}
