"""A commit whose answer is lost: the writer finds out what became of it, and takes no other transaction for its own."""

import time
from contextlib import closing

import psycopg
import pytest
from sqlalchemy import make_url

from jobyard_server.store.postgresql import PostgresDatabase, PostgresDesk
from jobyard_server.store.unit import EVENT_COLUMNS

TRIES = 20


@pytest.fixture
def empty(durable):
    """The URL of a database of its own."""
    url = durable.new_store()
    yield url
    durable.drop_database(url)


@pytest.fixture
def desk(empty):
    with closing(PostgresDatabase(make_url(empty))) as database, closing(PostgresDesk(database)) as opened:
        yield opened


def write(desk, number):
    """Begin a transaction that writes an event; the transaction's number."""
    desk.begin()
    row = (number, f"uid-{number}", 1, "jobs", "default", "JOB_SUBMITTED", "PENDING", None, None, None)
    desk.sets.insert_last("events", EVENT_COLUMNS, [(*row, "", "", "ann", "", time.time_ns() // 1000)])
    return int(desk.sets.transaction)


def events(durable, url):
    return durable.execute("SELECT job FROM events", url.rpartition("/")[2])


def test_another_transaction_that_has_its_number_after_a_crash_does_not_count(durable, desk, empty):
    for job in range(TRIES):
        lost = write(desk, job)
        durable.restart("immediate")
        ((found,),) = durable.execute("SELECT pg_current_xact_id()::text::int8")
        with pytest.raises(psycopg.OperationalError):
            desk.commit()
        if found == lost:
            break
    else:
        raise AssertionError(f"no number came twice in {TRIES} crashes")
    assert events(durable, empty) == []


def test_what_was_committed_counts_though_its_answer_was_lost(durable, desk, empty):
    write(desk, 7)
    connection = desk._connection

    class Lossy:
        """The connection, but for what it hears of its commit."""

        def execute(self, sql, *parameters):
            done = connection.execute(sql, *parameters)
            if sql == "COMMIT":
                connection.close()
                raise psycopg.OperationalError("lost")
            return done

        @property
        def closed(self):
            return connection.closed

    desk._connection = Lossy()
    desk.commit()
    assert events(durable, empty) == [(7,)]
    write(desk, 8)
    desk.commit()
    assert events(durable, empty) == [(7,), (8,)]
