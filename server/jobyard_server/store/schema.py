"""The schema of a database, brought to where this program needs it."""

from __future__ import annotations

import re
from importlib import resources
from typing import TYPE_CHECKING, Final

from sqlalchemy import inspect

from jobyard_server.store import tables, tables_catalog, tables_deliveries, tables_engine
from jobyard_server.store.columns import METADATA
from jobyard_server.store.expressions import index_statements
from jobyard_server.store.identity import signer_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Table

    from jobyard_server.domain.fields import ApiFields
    from jobyard_server.domain.signing import Signer
    from jobyard_server.store.database import Database

# Importing them is what puts the tables into the metadata.
assert all((tables, tables_catalog, tables_deliveries, tables_engine))

_MIGRATION: Final = re.compile(r"(\d{4})_\w+\.py")

TABLES: Final[Mapping[str, Table]] = METADATA.tables
"""Every table by its name."""


def prepare(database: Database, fields: Mapping[str, ApiFields]) -> Signer:
    """Migrate, make the indexes that the APIs ask for, and say who the database is.

    All in one transaction: of several processes that start on one database the first one does it.
    """
    with database.preparing() as (connection, sets):
        current, newest = _revision(connection), newest_revision()
        if current != newest:
            from jobyard_server.store.migrating import migrate  # noqa: PLC0415 - most starts have nothing to migrate

            migrate(connection, sets, current, newest)
        there = {name for (name,) in sets.all(database.dialect.indexes)}
        for statement in index_statements(fields, database.dialect, there):
            connection.exec_driver_sql(statement)
        return signer_of(sets)


def newest_revision() -> str:
    """The revision that migrations lead to; their files begin with it."""
    names = (file.name for file in resources.files("jobyard_server.store.migrations.versions").iterdir())
    return max(found[1] for name in names if (found := _MIGRATION.fullmatch(name)))


def _revision(connection: Connection) -> str | None:
    """The revision a schema is at; ``None``: there is none yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
