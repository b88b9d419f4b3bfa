"""`jobyard db`: makes a schema, checks a database, copies it, and says in a line what cannot be done."""

import sqlite3
import subprocess
import time
from contextlib import closing

import psycopg
import pytest

from support.command import JOBYARD, environment

MANY = 20_000
STOPS_IN_THE_MIDDLE = f"""
    CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(600); RETURN NEW; END$$;
    CREATE TRIGGER stop BEFORE INSERT ON events FOR EACH ROW WHEN (NEW.position > {MANY // 2}) EXECUTE FUNCTION stop()
"""


def db(*arguments):
    """Run the command; its exit code and its words."""
    done = subprocess.run(
        [JOBYARD, "db", *arguments], env=environment(), capture_output=True, text=True, timeout=250, check=False
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """An embedded database with many events of one job that is gone."""
    file = tmp_path_factory.mktemp("db") / "jobyard.db"
    code, said, _ = db("upgrade", "--database", f"sqlite:///{file}")
    assert (code, said.startswith("the schema is at revision ")) == (0, True)
    with sqlite3.connect(file) as connection:
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO events "
            "(position, job, job_uid, job_seq, api, tenant, type, state, reason, message, actor, request_id, at) "
            "SELECT i, 1, 'u', i, 'jobs', 'acme', 'CREATED', 'PENDING', '', 'message ' || i, 'ann', '', i FROM n",
            (MANY,),
        )
    connection.close()
    return f"sqlite:///{file}"


@pytest.fixture
def target(cluster):
    url = cluster.new_database()
    yield url
    cluster.drop_database(url)


def test_a_whole_database_is_well(source):
    code, said, _ = db("check", "--database", source)
    assert code == 0
    assert f"events{MANY:>24,}" in said
    assert said.endswith("and all rows fit together\n")


def test_what_is_not_there_is_not_made(tmp_path):
    code, _, words = db("check", "--database", f"sqlite:///{tmp_path}/none.db")
    assert (code, words) == (1, f"error: sqlite:///{tmp_path}/none.db cannot be used: there is no such file\n")
    assert list(tmp_path.iterdir()) == []


def test_a_database_of_something_else_is_said_to_be_none_of_ours(target):
    code, _, words = db("check", "--database", target)
    assert code == 1
    assert words.startswith("error: there is no schema of Jobyard in it")


def test_damage_is_told(source, tmp_path):
    file = tmp_path / "damaged.db"
    with closing(sqlite3.connect(source.removeprefix("sqlite:///"))) as whole, closing(sqlite3.connect(file)) as copy:
        whole.backup(copy)
        copy.execute("DELETE FROM events WHERE position = 77")
        copy.commit()
    code, _, words = db("check", "--database", f"sqlite:///{file}")
    assert code == 1
    assert words == "error: rows do not fit together\n  events: some of job 1 are missing between others\n"


def test_a_copy_that_is_killed_is_finished_by_the_next_one(source, target):
    assert db("upgrade", "--database", target)[0] == 0
    with psycopg.connect(target, autocommit=True) as connection:
        connection.execute(STOPS_IN_THE_MIDDLE)
        first = subprocess.Popen([JOBYARD, "db", "migrate", "--from", source, "--to", target], env=environment())
        while (copied := connection.execute("SELECT count(*) FROM events").fetchone()[0]) == 0:
            assert first.poll() is None, "it ended before it was killed"
            time.sleep(0.01)
        first.kill()
        first.wait()
        assert copied < MANY
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%events%' AND "
            "datname = current_database() AND pid <> pg_backend_pid()"
        )
        connection.execute("DROP FUNCTION stop CASCADE")
    code, said, words = db("migrate", "--from", source, "--to", target)
    assert (code, words) == (0, "")
    assert f"events{MANY:>24,}" in said
    assert said.endswith("every row is there, and the same\n")
    assert db("check", "--database", target)[0] == 0
    code, _, words = db("migrate", "--from", source, "--to", target)
    assert (code, words) == (1, "error: the target is not empty: there are rows in events\n")


def test_a_password_is_not_shown(source):
    code, _, words = db("migrate", "--from", source, "--to", "postgresql://ann:hunter2@127.0.0.1:1/none")
    assert code == 1
    assert "postgresql://ann:***@127.0.0.1:1/none cannot be used" in words
    assert "hunter2" not in words
