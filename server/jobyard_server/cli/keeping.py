"""Looks after databases for the commands of `jobyard db`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from jobyard_server.cli.errors import CommandError
from jobyard_server.main import APIS, database_trouble
from jobyard_server.store.checking import check as look
from jobyard_server.store.copying import CopyError, copy
from jobyard_server.store.database import Database, open_database, without_password
from jobyard_server.store.schema import newest_revision, prepare

FIELDS = {api.name: api.fields for api in APIS}
TOLD_ROWS = 100_000
"""After so many rows of a table a person hears how far it is."""


def upgrade(url: str) -> None:
    """Bring the schema up to date."""
    with _opened(url) as database:
        prepare(database, FIELDS)
    print(f"the schema is at revision {newest_revision()}")


def check(url: str) -> None:
    """Look whether a database is whole."""
    _must_exist(url)
    with _opened(url) as database:
        report = look(database)
    if not report.revision:
        raise CommandError("there is no schema of Jobyard in it", "make it with: jobyard db upgrade")
    if report.revision > report.newest:
        raise CommandError(
            f"the schema is at revision {report.revision}, and this program knows {report.newest}", "use a newer one"
        )
    if report.revision != report.newest:
        raise CommandError(
            f"the schema is at revision {report.revision}, and this program works with {report.newest}",
            "bring it up to date with: jobyard db upgrade",
        )
    _print(report.rows.items())
    if report.damage:
        raise CommandError("rows do not fit together", *report.damage)
    print(f"the schema is at revision {report.revision}, and all rows fit together")


def migrate(source: str, target: str) -> None:
    """Copy a database into another one, and compare them."""
    _must_exist(source)
    rows: dict[str, int] = {}

    def told(table: str, more: int) -> None:
        before = rows.get(table, 0)
        rows[table] = before + more
        if rows[table] // TOLD_ROWS > before // TOLD_ROWS:
            print(f"{table}: {rows[table]:,} rows", file=sys.stderr)

    with _opened(source) as here, _opened(target) as there:
        prepare(here, FIELDS)
        prepare(there, FIELDS)
        try:
            parts = copy(here, there, told)
        except CopyError as problem:
            raise CommandError(str(problem)) from None
    _print((part.table, part.rows) for part in parts)
    print("every row is there, and the same")


def _print(rows: Iterable[tuple[str, int]]) -> None:
    for table, count in rows:
        print(f"{table:16}{count:>14,}")


@contextmanager
def _opened(url: str) -> Iterator[Database]:
    """A database for one command; what it cannot do is told in a line."""
    try:
        database = open_database(url)
        try:
            yield database
        finally:
            database.close()
    except database_trouble() as problem:
        raise CommandError(f"{without_password(url)} cannot be used: {problem}") from None


def _must_exist(url: str) -> None:
    """Refuse what names no file, for opening it would make one."""
    file = url.removeprefix("sqlite:///")
    if file != url and not Path(file).is_file():
        raise CommandError(f"{url} cannot be used: there is no such file")
