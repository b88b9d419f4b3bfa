"""The schema that migrations make is the one the tables say, from any number of processes at once."""

import asyncio
import re
import sqlite3

import pytest

from jobyard_server.store import tables, tables_catalog, tables_deliveries, tables_engine
from jobyard_server.store.columns import METADATA
from jobyard_server.store.database import open_database
from support.storing import new_job

DECLARED = (tables, tables_catalog, tables_deliveries, tables_engine)


def schema_of(database):
    """The statements that made a database, their spaces and line ends aside."""
    query = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite%' AND name NOT LIKE 'alembic%'"
    made = database.read(lambda sets: sets.all(query))
    database.close()
    return {name: sorted(part.strip(" ,\n\t") for part in re.split(r"\n", sql or "")) for name, sql in made}


@pytest.mark.only("sqlite")
async def test_migrations_make_what_the_tables_say(open_store, url, tmp_path):
    async with open_store():
        pass
    declared = open_database(f"sqlite:///{tmp_path}/declared.db")
    with declared.preparing() as (connection, _):
        METADATA.create_all(connection)
    migrated = schema_of(open_database(url))
    expected = schema_of(declared)
    # What APIs ask for is made at every start and is no part of the migrations.
    own = {name: sql for name, sql in migrated.items() if not name.startswith("ix_jobs_of_")}
    assert own == expected
    assert len(expected) > 40


async def test_several_processes_may_start_at_once(open_store):
    stores = [open_store() for _ in range(4)]
    await asyncio.gather(*(store.start() for store in stores))
    try:
        await asyncio.gather(*(store.submit(new_job()) for store in stores))
        assert len({store.signer.seal("test", [1]) for store in stores}) == 1
    finally:
        for store in stores:
            await store.stop()


@pytest.mark.only("sqlite")
async def test_writes_are_on_the_disk_before_they_are_answered(store):
    ((durable,),) = await store.run(lambda tx: tx._unit.sets.all("PRAGMA synchronous"))
    ((journal,),) = await store.run(lambda tx: tx._unit.sets.all("PRAGMA journal_mode"))
    assert (durable, journal) == (2, "wal")


@pytest.mark.only("sqlite")
async def test_readers_cannot_write(store):
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        store._database.point.run("DELETE FROM jobs")


@pytest.mark.parametrize("wrong", ["sqlite://", "sqlite:///:memory:", "mysql://h/d"])
def test_what_cannot_be_a_store_is_refused(wrong):
    with pytest.raises(ValueError, match=r"needs a file|no database of this kind"):
        open_database(wrong)
