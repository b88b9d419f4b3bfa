"""Which database the servers under test keep their jobs in: a file, or with ``TEST_DATABASE=postgresql`` one there."""

import atexit
import os
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path

import psycopg

from support.postgres import Cluster
from support.schema import new_file


@cache
def _cluster() -> Cluster:
    """One for all tests of this process."""
    cluster = Cluster(fsync="off", max_connections="200")
    cluster.__enter__()
    atexit.register(cluster.__exit__)
    return cluster


def new_database(file: Path) -> str:
    """The URL of a database that has the schema and nothing in it."""
    match os.environ.get("TEST_DATABASE", "sqlite"):
        case "sqlite":
            return new_file(file)
        case "postgresql":
            return _cluster().new_store()
        case other:
            raise ValueError(f"TEST_DATABASE is sqlite or postgresql, not {other}")


def rows_of(url: str, sql: str) -> list[tuple[object, ...]]:
    """What a query finds in a database, beside the server that serves it."""
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
            return connection.execute(sql).fetchall()
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []


def held_open(folder: Path) -> list[str]:
    """The files in a folder that this process has open."""
    files = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return [str(file) for file in files if file.is_relative_to(folder)]
