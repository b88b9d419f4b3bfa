"""The schema of a database, brought to where this program needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

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

TABLES: Final[Mapping[str, Table]] = METADATA.tables
"""Every table by its name."""


def prepare(database: Database, fields: Mapping[str, ApiFields]) -> Signer:
    """Migrate, make the indexes that the APIs ask for, and say who the database is.

    All in one transaction: of several processes that start on one database the first one does it.
    """
    with database.preparing() as (connection, sets):
        migrate(connection)
        for statement in index_statements(fields, database.dialect):
            connection.exec_driver_sql(statement)
        return signer_of(sets)


def migrate(connection: Connection) -> None:
    """Run the migrations that a database has not seen yet."""
    config = _configuration()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def newest_revision() -> str:
    """The revision that :func:`migrate` leads to."""
    newest = ScriptDirectory.from_config(_configuration()).get_current_head()
    assert newest is not None, "there are migrations"
    return newest


def _configuration() -> Config:
    config = Config()
    config.set_main_option("script_location", "jobyard_server.store:migrations")
    return config
