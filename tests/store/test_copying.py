"""A database copied into another one: all of it, however often it is interrupted, and never on top of something."""

import random
from contextlib import closing

import pytest
from sqlalchemy import BigInteger, Boolean, Double, Integer, LargeBinary

from jobyard_server.domain.fields import ApiFields
from jobyard_server.store import copying
from jobyard_server.store.checking import check
from jobyard_server.store.copying import CopyError, copy
from jobyard_server.store.database import open_database
from jobyard_server.store.schema import TABLES, prepare
from jobyard_server.store.store import Store
from support.storing import Hand, key, new_job

ROWS = 40
TEXTS = ("plain", "Zürich 🏗", "it's", "a\x1a0b", '{"a": [1, null]}', " ", "line\nline")
FIELDS = {"jobs": ApiFields({})}


@pytest.fixture
def source(tmp_path):
    """An embedded database with rows of every kind in every table."""
    database = open_database(f"sqlite:///{tmp_path}/source.db")
    prepare(database, FIELDS)
    chance = random.Random(7)
    with database.preparing() as (_, sets):
        for table in TABLES.values():
            rows = [tuple(value(column, number, chance) for column in table.columns) for number in range(1, ROWS + 1)]
            sets.insert(table.name, tuple(table.columns.keys()), rows)
    yield database
    database.close()


@pytest.fixture
def target(cluster):
    url = cluster.new_database()
    database = open_database(url)
    prepare(database, FIELDS)
    yield database
    database.close()
    cluster.drop_database(url)


def value(column, number, chance):
    """Something that may stand in a column; different in each row."""
    if column.nullable and chance.random() < 0.3:
        return None
    match column.type:
        case Boolean():
            made = chance.random() < 0.5
        case LargeBinary():
            made = chance.randbytes(300)
        case Double():
            made = chance.uniform(-1e9, 1e9)
        case BigInteger() if not column.primary_key:
            made = number + chance.randrange(2**62)
        case Integer():
            made = number
        case _:
            made = f"{number}-{chance.choice(TEXTS)}"
    return made


def told(*_):
    """Nobody listens."""


def test_every_row_of_every_table_comes_along(source, target):
    parts = copy(source, target, told)
    assert {part.table for part in parts} == TABLES.keys()
    assert all(part.rows >= ROWS for part in parts)
    for table in TABLES.values():
        columns, keys = (", ".join(part.keys()) for part in (table.columns, table.primary_key.columns))
        query = f"SELECT {columns} FROM {table.name} ORDER BY {keys}"
        here, there = (database.read(lambda sets, query=query: sets.all(query)) for database in (source, target))
        assert here == there, table.name


def test_a_copy_that_is_interrupted_anywhere_goes_on(source, target, monkeypatch):
    monkeypatch.setattr(copying, "STEP_ROWS", 7)
    seen = []

    def interrupt(table, rows):
        seen.append((table, rows))
        if len(seen) % 5 == 0:
            raise InterruptedError

    for _ in range(1_000):
        try:
            parts = copy(source, target, interrupt)
        except InterruptedError:
            continue
        break
    # Each row was written once, so nothing was begun again.
    assert sum(rows for _, rows in seen) == sum(part.rows for part in parts)
    assert check(target).rows == check(source).rows


def test_what_is_written_meanwhile_is_found_and_copied_by_the_next_run(source, target):
    def write(table, _):
        if table == "subjobs":
            with source.preparing() as (_, sets):
                sets.run("UPDATE attempts SET worker = 'changed' WHERE subjob = 3")
                sets.run("DELETE FROM records WHERE id LIKE '1%'")

    with pytest.raises(CopyError, match=r"the source was written to meanwhile: attempts \(40 .*, records \("):
        copy(source, target, write)
    assert all(part.rows == check(target).rows[part.table] for part in copy(source, target, told))


def test_a_target_with_something_in_it_stays_as_it_is(source, target):
    with target.preparing() as (_, sets):
        sets.insert("records", tuple(TABLES["records"].columns.keys()), [a_record()])
    with pytest.raises(CopyError, match="the target is not empty: there are rows in records"):
        copy(source, target, told)
    assert check(target).rows["jobs"] == 0


def a_record():
    return tuple(value(column, 1, random.Random(1)) for column in TABLES["records"].columns)


def test_a_copy_of_one_database_does_not_go_on_with_another(source, target, tmp_path):
    def interrupt(*_):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        copy(source, target, interrupt)
    other = open_database(f"sqlite:///{tmp_path}/other.db")
    prepare(other, FIELDS)
    with pytest.raises(CopyError, match="the copy of another database"):
        copy(other, target, told)
    other.close()


def test_an_embedded_database_is_no_target(source, tmp_path):
    target = open_database(f"sqlite:///{tmp_path}/other.db")
    with closing(target), pytest.raises(CopyError, match="only PostgreSQL can be copied to"):
        copy(source, target, told)


async def test_a_store_goes_on_with_its_copy_where_it_was(tmp_path, cluster):
    urls = f"sqlite:///{tmp_path}/here.db", cluster.new_database()
    async with Store(urls[0], fields=FIELDS) as store:
        first = await store.submit(new_job(key=key("once"), queue="a"))
        await store.submit(new_job(queue="b"))
        (lease,) = await Hand(store).take("b")
        await Hand(store).end(lease.token)
    here, there = map(open_database, urls)
    prepare(there, FIELDS)
    copy(here, there, told)
    assert check(there).damage == []
    here.close()
    there.close()
    async with Store(urls[1], fields=FIELDS) as store:
        again = await store.submit(new_job(key=key("once"), queue="a"))
        assert (again.replayed, again.job.uid) == (True, first.job.uid)
        assert (await store.submit(new_job())).job.number == 3
        assert [lease.job.number for lease in await Hand(store).take("a")] == [1]
    cluster.drop_database(urls[1])


def test_damage_is_named(source):
    # The rows of the fixture know nothing of each other.
    report = check(source)
    assert report.revision == report.newest
    for damage in ("jobs: the counters of job", "standings: job"):
        assert any(word.startswith(damage) for word in report.damage)
    with source.preparing() as (_, sets):
        sets.run("DELETE FROM blobs")
    assert any(word.startswith("blob_chunks: what belongs to blob") for word in check(source).damage)
