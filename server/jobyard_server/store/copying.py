"""Copies a database into another one, in steps, so that a copy that was interrupted goes on where it was.

Rows travel in the order of their keys. How far a table has come is written in the same transaction as its rows, so none
is missed and none comes twice. In the end both sides are counted and summed up; a table that differs is forgotten in
the copy, to be copied anew, for then somebody wrote to the source meanwhile.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Boolean

from jobyard_server.store.dialect import POSTGRESQL
from jobyard_server.store.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sqlalchemy import Table

    from jobyard_server.store.database import Database, Desk
    from jobyard_server.store.sets import Row, Sets

T = TypeVar("T")

STEP_ROWS: Final = 500
STEP_BYTES: Final = 4 * 1024 * 1024
"""Rows of one transaction weigh no more than this, unless a single one does."""

MARK: Final = "copying:"
"""In ``meta`` of the copy: how far each table has come, and of which database it is a copy."""
SOURCE: Final = f"{MARK}source"
DONE: Final = '"done"'

_REMEMBER: Final = (
    "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_MARKED: Final = f"SELECT name, value FROM meta WHERE name LIKE '{MARK}%'"
_FORGET: Final = f"DELETE FROM meta WHERE name LIKE '{MARK}%'"


class CopyError(Exception):
    """Why a copy cannot be made, or is not one."""


@dataclass(frozen=True, slots=True)
class Part:
    """What became of one table."""

    table: str
    rows: int
    """Rows in it now, in both databases."""


def copy(source: Database, target: Database, told: Callable[[str, int], None]) -> list[Part]:
    """Copy everything, and compare it. Both databases have their schema; ``told`` hears of rows as they are copied.

    Raises CopyError. A copy that failed or was interrupted goes on when it is called again.
    """
    if target.dialect is not POSTGRESQL:
        raise CopyError("only PostgreSQL can be copied to")
    desk = target.desk()
    try:
        epoch = source.read(lambda sets: str(sets.all("SELECT value FROM meta WHERE name = 'epoch'")[0][0]))
        marks = _begin(desk, epoch)
        for table in _tables():
            if marks.get(table.name) != DONE:
                source.read(partial(_copy, desk=desk, table=table, mark=marks.get(table.name), told=told))
        return _compare(source, desk)
    finally:
        desk.close()


def _tables() -> list[Table]:
    """All tables; ``meta`` comes last, for with it the copy becomes the database it is a copy of."""
    return sorted(TABLES.values(), key=lambda table: (table.name == "meta", table.name))


def _begin(desk: Desk, epoch: str) -> Mapping[str, str]:
    """Make sure that the target is empty or the copy that was begun; how far each of its tables is."""

    def begin(sets: Sets) -> Mapping[str, str]:
        marks = dict(sets.all(_MARKED))
        if not marks:
            for table in _tables():
                if table.name != "meta" and sets.all(f"SELECT 1 FROM {table.name} LIMIT 1"):
                    raise CopyError(f"the target is not empty: there are rows in {table.name}")
            sets.run(_REMEMBER, (SOURCE, epoch))
        elif marks[SOURCE] != epoch:
            raise CopyError("the target holds the copy of another database, which was begun and not ended")
        return {name.removeprefix(MARK): value for name, value in marks.items()}

    return _within(desk, begin)


def _copy(read: Sets, *, desk: Desk, table: Table, mark: str | None, told: Callable[[str, int], None]) -> None:
    """Copy a table from where it was left."""
    columns = tuple(table.columns.keys())
    keys = [columns.index(column.name) for column in table.primary_key.columns]
    conflict = "ON CONFLICT (name) DO UPDATE SET value = excluded.value" if table.name == "meta" else ""
    for rows in _steps(read, table, None if mark is None else json.loads(mark)):

        def write(sets: Sets, rows: list[Row] = rows) -> None:
            sets.insert(table.name, columns, rows, conflict)
            sets.run(_REMEMBER, (MARK + table.name, json.dumps([rows[-1][key] for key in keys])))

        _within(desk, write)
        told(table.name, len(rows))

    def end(sets: Sets) -> None:
        if table.dialect_options["sqlite"].get("autoincrement") and (newest := read.newest(table.name)):
            sets.took(table.name, newest)
        sets.run(_REMEMBER, (MARK + table.name, DONE))

    _within(desk, end)


def _steps(read: Sets, table: Table, after: list[Any] | None) -> Iterator[list[Row]]:
    """The rows of a table behind a key, as many at once as one transaction takes."""
    columns, keys = ", ".join(table.columns.keys()), ", ".join(table.primary_key.columns.keys())
    where = "" if after is None else f"WHERE ({keys}) > ({', '.join('?' * len(after))})"
    step: list[Row] = []
    size = 0
    for row in read.each(f"SELECT {columns} FROM {table.name} {where} ORDER BY {keys}", after or ()):
        step.append(_plain(table, row))
        size += sum(len(value) for value in row if isinstance(value, (str, bytes)))
        if len(step) == STEP_ROWS or size >= STEP_BYTES:
            yield step
            step, size = [], 0
    if step:
        yield step


def _plain(table: Table, row: Row) -> Row:
    """A row whose values are of one type each, whatever the database has for it."""
    return tuple(
        bool(value) if value is not None and isinstance(column.type, Boolean) else value
        for column, value in zip(table.columns, row, strict=True)
    )


def _compare(source: Database, desk: Desk) -> list[Part]:
    """Count and sum up both sides. A table that differs is emptied, so that it is copied anew."""
    parts, different = [], []
    for table in _tables():
        here = source.read(partial(_sum, table=table))
        there = _within(desk, partial(_sum, table=table))
        if here == there:
            parts.append(Part(table.name, here[0]))
        else:
            different.append(f"{table.name} ({here[0]} rows here, {there[0]} there)")
            _within(desk, partial(_empty, table=table))
    if different:
        raise CopyError(
            f"the source was written to meanwhile: {', '.join(different)}; stop its servers and run this again"
        )
    _within(desk, lambda sets: sets.run(_FORGET))
    return parts


def _sum(sets: Sets, table: Table) -> tuple[int, int]:
    """How many rows a table has, and a number that is another one when any of them is; their order does not matter."""
    count = total = 0
    columns = tuple(table.columns.keys())
    for row in sets.each(f"SELECT {', '.join(columns)} FROM {table.name}"):
        if table.name == "meta" and row[columns.index("name")].startswith(MARK):
            continue
        digest = blake2b(repr(_plain(table, row)).encode("utf-8", "surrogatepass"), digest_size=8).digest()
        total = (total + int.from_bytes(digest)) % (1 << 64)
        count += 1
    return count, total


def _empty(sets: Sets, table: Table) -> None:
    if table.name != "meta":  # what is copied there is written over
        sets.run(f"TRUNCATE {table.name}")
    sets.run("DELETE FROM meta WHERE name = ?", (MARK + table.name,))


def _within(desk: Desk, work: Callable[[Sets], T]) -> T:
    """One transaction of the copy."""
    desk.begin()
    try:
        done = work(desk.sets)
        desk.commit()
    finally:
        desk.rollback()
    return done
