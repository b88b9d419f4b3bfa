"""Statements over lists of rows: many rows in one statement, whatever the database.

A row at a time costs a hand-off of the interpreter lock for every statement, which beside a busy
event loop is the whole cost of a batch. The lists travel as ``VALUES`` of bound parameters, filled
up with rows of NULL to a few fixed lengths, so that the driver finds every statement prepared.
(SQLite reads the same rows out of one JSON parameter seven times slower.)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from contextlib import closing
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from typing_extensions import override

from jobyard_server.store.dialect import SQLITE

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator, Iterable, Mapping, Sequence

    from jobyard_server.store.dialect import Dialect

Row: TypeAlias = "Sequence[Any]"

LENGTHS: Final = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
MAX_PARAMETERS: Final = 32_000


class Sets(ABC):
    """Set-based statements on one connection of the driver."""

    dialect: Dialect

    @abstractmethod
    def run(self, sql: str, parameters: Row = ()) -> int:
        """Run one statement; how many rows it changed."""

    @abstractmethod
    def all(self, sql: str, parameters: Row = ()) -> list[tuple[Any, ...]]:
        """Run one query; its rows."""

    @abstractmethod
    def each(self, sql: str, parameters: Row = ()) -> Generator[tuple[Any, ...], None, None]:
        """Run one query; its rows one by one, as long as somebody wants them. To be closed."""

    @abstractmethod
    def insert(self, table: str, columns: tuple[str, ...], rows: Sequence[Row], conflict: str = "") -> None:
        """Insert rows, whose first column is never NULL; at the latest when something is read."""

    @abstractmethod
    def update(self, table: str, keys: tuple[str, ...], columns: tuple[str, ...], rows: Sequence[Row]) -> None:
        """Give each row named by its keys its own values; at the latest when something is read."""

    @abstractmethod
    def insert_last(self, table: str, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
        """Insert rows before the end of the transaction; nobody else does so until then, so they are in its order."""

    @abstractmethod
    def send(self) -> None:
        """Write what was inserted and updated and has waited so far."""

    @abstractmethod
    def drop(self) -> None:
        """Forget what waits to be written."""

    @abstractmethod
    def among(self, names: tuple[str, ...], rows: Sequence[Row], sql: str) -> list[tuple[Any, ...]]:
        """Run a query over ``given``, a table of ``names`` that holds the rows."""

    @abstractmethod
    def reserve(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Take so many numbers of each of some numbered tables that were never used; the first of them, by table."""

    @abstractmethod
    def took(self, table: str, number: int) -> None:
        """A row is written under a number that its writer chose."""

    @abstractmethod
    def newest(self, table: str) -> int:
        """The highest number given so far; 0 for none."""

    @abstractmethod
    def hold(self, names: Iterable[str]) -> None:
        """Keep everybody else from what goes by these names until the transaction ends.

        What is not there yet has no row to be locked. Where only one may write there is nothing to do.
        """

    @abstractmethod
    def hold_closures(self) -> None:
        """Keep everybody else from whatever is no set-based verb until the transaction ends."""

    @abstractmethod
    def lock_jobs(self, numbers: Iterable[int]) -> None:
        """Keep everybody else from jobs and their pieces until the transaction ends; what was read before is stale."""


class SqliteSets(Sets):
    """Set-based statements of SQLite. A transaction has the only write lock, so nothing else has to be locked."""

    dialect = SQLITE

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._given: dict[str, int] | None = None

    @override
    def run(self, sql: str, parameters: Row = ()) -> int:
        return self._connection.execute(sql, parameters).rowcount

    @override
    def all(self, sql: str, parameters: Row = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, parameters).fetchall()

    @override
    def each(self, sql: str, parameters: Row = ()) -> Generator[tuple[Any, ...], None, None]:
        with closing(self._connection.execute(sql, parameters)) as cursor:
            yield from cursor

    @override
    def insert(self, table: str, columns: tuple[str, ...], rows: Sequence[Row], conflict: str = "") -> None:
        for length, parameters in _chunks(rows, len(columns)):
            self.run(_insert(table, columns, length, conflict), parameters)

    @override
    def insert_last(self, table: str, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
        self.insert(table, columns, rows)

    @override
    def update(self, table: str, keys: tuple[str, ...], columns: tuple[str, ...], rows: Sequence[Row]) -> None:
        for length, parameters in _chunks(rows, len(keys) + len(columns)):
            self.run(_update(table, keys, columns, length), parameters)

    @override
    def send(self) -> None:
        """Nothing: nothing waits."""

    @override
    def drop(self) -> None:
        """Nothing: nothing waits."""

    @override
    def among(self, names: tuple[str, ...], rows: Sequence[Row], sql: str) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        for length, parameters in _chunks(rows, len(names)):
            found += self.all(_given(names, length) + sql, parameters)
        return found

    @override
    def reserve(self, counts: Mapping[str, int]) -> dict[str, int]:
        given = self._sequences()
        firsts = {table: given.get(table, 0) + 1 for table in counts}
        given.update((table, first + counts[table] - 1) for table, first in firsts.items())
        return firsts

    @override
    def took(self, table: str, number: int) -> None:
        given = self._sequences()
        given[table] = max(given.get(table, 0), number)

    @override
    def newest(self, table: str) -> int:
        found = self.all("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,))
        return int(found[0][0]) if found else 0

    @override
    def hold(self, names: Iterable[str]) -> None:
        """Nothing: nobody else writes."""

    @override
    def hold_closures(self) -> None:
        """Nothing: nobody else writes."""

    @override
    def lock_jobs(self, numbers: Iterable[int]) -> None:
        """Nothing: nobody else writes."""

    def begin(self) -> None:
        """A transaction begins: what others wrote meanwhile is not known."""
        self._given = None

    def _sequences(self) -> dict[str, int]:
        # Safe to keep for the transaction: it holds the only write lock.
        if self._given is None:
            self._given = dict(self.all("SELECT name, seq FROM sqlite_sequence"))
        return self._given


def _chunks(rows: Sequence[Row], width: int) -> list[tuple[int, Row]]:
    """Cut rows into statements: (length of the list, its parameters filled up to that length)."""
    # What a batch of a single command has.
    if len(rows) < 2:
        return [(1, row) for row in rows]
    most = LENGTHS[bisect_left(LENGTHS, MAX_PARAMETERS // width + 1) - 1]
    cut: list[tuple[int, Row]] = []
    for start in range(0, len(rows), most):
        part = rows[start : start + most]
        length = LENGTHS[bisect_left(LENGTHS, len(part))]
        parameters = list(chain.from_iterable(part))
        parameters += [None] * ((length - len(part)) * width)
        cut.append((length, parameters))
    return cut


def _values(width: int, length: int) -> str:
    row = "(" + ",".join("?" * width) + ")"
    return "VALUES " + ",".join([row] * length)


@lru_cache(maxsize=1024)
def _given(names: tuple[str, ...], length: int) -> str:
    return f"WITH given({', '.join(names)}) AS ({_values(len(names), length)}) "


@lru_cache(maxsize=1024)
def _insert(table: str, columns: tuple[str, ...], length: int, conflict: str) -> str:
    values = _values(len(columns), length)
    if length == 1 and not conflict:
        return f"INSERT INTO {table}({', '.join(columns)}) {values}"
    # The condition drops the filling, and keeps "ON CONFLICT" from being read as a join.
    return f"INSERT INTO {table}({', '.join(columns)}) SELECT * FROM ({values}) WHERE column1 IS NOT NULL {conflict}"


@lru_cache(maxsize=1024)
def _update(table: str, keys: tuple[str, ...], columns: tuple[str, ...], length: int) -> str:
    given = _given(keys + columns, length)
    changes = ", ".join(f"{column} = given.{column}" for column in columns)
    match = " AND ".join(f"{table}.{key} = given.{key}" for key in keys)
    return f"{given}UPDATE {table} SET {changes} FROM given WHERE {match}"
