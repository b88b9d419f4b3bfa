"""The schema of a database brought to where this program needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobyard_server.store import tables, tables_catalog, tables_engine
from jobyard_server.store.columns import METADATA
from jobyard_server.store.expressions import index_statements

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobyard_server.domain.fields import ApiFields
    from jobyard_server.store.database import Database

__all__ = ["prepare", "tables", "tables_catalog", "tables_engine"]


def prepare(database: Database, fields: Mapping[str, ApiFields]) -> None:
    """Bring the schema up to date, and make the indexes that the APIs ask for."""
    with database.writing() as connection, connection.begin():
        METADATA.create_all(connection)
        for statement in index_statements(fields):
            connection.exec_driver_sql(statement)
