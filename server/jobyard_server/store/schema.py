"""The schema of a database, brought to where this program needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
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
    from jobyard_server.store.sets import Sets

# Importing them is what puts the tables into the metadata.
assert all((tables, tables_catalog, tables_deliveries, tables_engine))

OLDEST: Final = "oldest_revision"
"""In ``meta``: the oldest revision whose programs work with the schema as it is."""
_REMEMBER: Final = (
    "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_ASK: Final = "SELECT value FROM meta WHERE name = ?"

TABLES: Final[Mapping[str, Table]] = METADATA.tables
"""Every table by its name."""


class SchemaError(ValueError):
    """The schema of a database is one that this program cannot work with."""


def prepare(database: Database, fields: Mapping[str, ApiFields]) -> Signer:
    """Migrate, make the indexes that the APIs ask for, and say who the database is.

    All in one transaction: of several processes that start on one database the first one does it.
    """
    with database.preparing() as (connection, sets):
        migrate(connection, sets)
        for statement in index_statements(fields, database.dialect):
            connection.exec_driver_sql(statement)
        return signer_of(sets)


def migrate(connection: Connection, sets: Sets) -> None:
    """Run the migrations that a database has not seen yet.

    A schema that is ahead is left alone where it says that programs of our revision work with it: replicas of one
    release are replaced by those of the next one after the other, and any of them may start again meanwhile.
    """
    config = _configuration()
    script = ScriptDirectory.from_config(config)
    known = {each.revision for each in script.walk_revisions()}
    current = MigrationContext.configure(connection).get_current_revision()
    if current is None or current in known:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        sets.run(_REMEMBER, (OLDEST, script.get_revision("head").module.oldest))
        return
    oldest = next((str(value) for (value,) in sets.all(_ASK, (OLDEST,))), current)
    if oldest not in known:
        raise SchemaError(
            f"its schema is at revision {current}, for programs that know {oldest}; this one knows {newest_revision()}"
        )


def newest_revision() -> str:
    """The revision that :func:`migrate` leads to."""
    newest = ScriptDirectory.from_config(_configuration()).get_current_head()
    assert newest is not None, "there are migrations"
    return newest


def _configuration() -> Config:
    config = Config()
    config.set_main_option("script_location", "jobyard_server.store:migrations")
    return config
