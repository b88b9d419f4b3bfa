"""The schema that migrations make is the one the tables say, from any number of processes at once."""

import asyncio
import re
import sqlite3
import sys
from pathlib import Path

import pytest
from sqlalchemy.exc import DatabaseError

from jobyard_server.domain.state import State
from jobyard_server.store import tables, tables_catalog, tables_deliveries, tables_engine
from jobyard_server.store.columns import METADATA
from jobyard_server.store.database import open_database
from jobyard_server.store.migrating import SchemaError
from jobyard_server.store.schema import newest_revision
from support.databases import held_open
from support.storing import Hand, new_job

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
    own = {name: sql for name, sql in migrated.items() if not name.startswith(("ix_jobs_of_", "ix_standings_of_"))}
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


# --- one release beside the next -----------------------------------------------------------------------------------

TOMORROW = (
    "ALTER TABLE jobs ADD COLUMN tomorrow TEXT DEFAULT 'unknown' NOT NULL",
    "ALTER TABLE subjobs ADD COLUMN tomorrow BIGINT",
    "ALTER TABLE events ADD COLUMN tomorrow TEXT",
    "CREATE TABLE of_tomorrow (id BIGINT PRIMARY KEY)",
    "CREATE INDEX ix_of_tomorrow ON jobs (tomorrow, number)",
    "UPDATE alembic_version SET version_num = '9999'",
)
"""What the next release may do to the schema while servers of this one work on it."""


def expand(url, *, oldest):
    """Migrate to the schema of the next release."""
    database = open_database(url)
    with database.preparing() as (_, sets):
        for statement in TOMORROW:
            sets.run(statement)
        sets.run("UPDATE meta SET value = ? WHERE name = 'oldest_revision'", (oldest,))
    database.close()


async def lives(store, queue):
    """A job comes, runs and ends."""
    job = (await store.submit(new_job(queue=queue))).job
    hand = Hand(store, session=queue)
    (lease,) = await hand.take(queue)
    await hand.end(lease.token)
    assert (await store.read.job(job.number, api=None, tenant=None)).state is State.SUCCEEDED
    events = await store.read.events(after=0, limit=100, job=job.number)
    assert [event.job_seq for event in events] == list(range(1, len(events) + 1))


async def test_a_server_goes_on_while_the_next_release_changes_the_schema_and_may_start_again(open_store, url):
    async with open_store() as before:
        await lives(before, "a")
        expand(url, oldest=newest_revision())
        await lives(before, "b")
        async with open_store() as after:
            await asyncio.gather(lives(after, "c"), lives(before, "d"))


async def test_a_schema_that_needs_a_newer_program_is_left_alone(open_store, url):
    async with open_store():
        pass
    expand(url, oldest="9998")
    with pytest.raises(SchemaError, match="at revision 9999, for programs that know 9998; this one knows 0"):
        await open_store().start()


@pytest.mark.only("sqlite")
async def test_a_store_that_cannot_start_holds_no_file_open(open_store, url):
    file = Path(url.removeprefix("sqlite:///"))
    store = open_store()
    assert str(file) in held_open(file.parent)
    file.write_text("this is no database, but a text that is long enough to look at")
    with pytest.raises(DatabaseError):
        await store.start()
    assert held_open(file.parent) == []


@pytest.mark.only("sqlite")
async def test_a_database_that_is_up_to_date_needs_no_library_that_migrates(open_store, monkeypatch):
    async with open_store():
        pass
    monkeypatch.setitem(sys.modules, "jobyard_server.store.migrating", None)
    async with open_store() as store:
        await lives(store, "a")


def test_every_migration_says_which_programs_it_leaves_behind():
    """No release may leave the one before it behind."""
    for path in sorted((Path(tables.__file__).parent / "migrations" / "versions").glob("0*.py")):
        words = dict(re.findall(r'(?m)^(revision|down_revision|oldest) = "?(\w+)"?', path.read_text()))
        assert path.name.startswith(f"{words['revision']}_")
        assert words["oldest"] <= (words["revision"] if words["down_revision"] == "None" else words["down_revision"])
