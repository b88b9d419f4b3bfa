"""A database by its URL: how it is connected to, and what its dialect does differently."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.pool import QueuePool

from jobyard_server.store.checkpoints import KEPT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL, Connection
    from sqlalchemy.pool import PoolProxiedConnection

BUSY_MILLISECONDS: Final = 5_000
CACHE_KIBIBYTES: Final = 32_768


class Database:
    """One database, embedded or not.

    Writes go through :meth:`writing`, one transaction at a time and process; reads through
    :meth:`reading`, from any thread.
    """

    def __init__(self, url: str, *, readers: int = 4) -> None:
        self.url: URL = make_url(url)
        if self.url.get_backend_name() != "sqlite":
            raise ValueError(f"no database of this kind is supported: {self.url.get_backend_name()}")
        self.path = _file_of(self.url)
        target = self.url.set(drivername="sqlite+pysqlite")
        self._writer = _engine(target, size=1, read_only=False)
        self._readers = _engine(target, size=readers, read_only=True)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection that may write; ``begin()`` on it takes the write lock at once."""
        with self._writer.connect() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that only reads; what it reads within the block is one snapshot."""
        with self._readers.connect() as connection:
            yield connection

    def point_connection(self) -> PoolProxiedConnection:
        """A connection of the driver itself, kept by one thread for reads that must cost nothing.

        Outside a transaction, so every statement sees what is committed when it starts.
        """
        return self._readers.raw_connection()

    def close(self) -> None:
        """Close every connection."""
        self._readers.dispose()
        self._writer.dispose()


def _file_of(url: URL) -> Path:
    """The file of an embedded database, its folder made."""
    if not url.database or url.database == ":memory:":
        raise ValueError("an embedded database needs a file: sqlite:///path/to/file.db")
    path = Path(url.database)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _engine(url: URL, *, size: int, read_only: bool) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0 if not read_only else size,
        connect_args={"check_same_thread": False, "cached_statements": 512},
    )

    def connected(connection: Any, _record: Any) -> None:
        # The driver must not open transactions by itself: it would open them deferred, and a
        # deferred transaction that turns to writing fails instead of waiting for its turn.
        connection.isolation_level = None
        for pragma in _pragmas(read_only=read_only):
            connection.execute(f"PRAGMA {pragma}")

    def begin(connection: Connection) -> None:
        # By the driver itself: through SQLAlchemy it costs more than a small transaction does.
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.execute("BEGIN" if read_only else "BEGIN IMMEDIATE")

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begin)
    return engine


def _pragmas(*, read_only: bool) -> tuple[str, ...]:
    shared = (
        # Free pages can be given back to the disk. It counts for the first one that opens a new file, if said first.
        "auto_vacuum = INCREMENTAL",
        f"busy_timeout = {BUSY_MILLISECONDS}",
        "journal_mode = WAL",
        f"cache_size = -{CACHE_KIBIBYTES}",
        "temp_store = MEMORY",
    )
    if read_only:
        return (*shared, "query_only = ON")
    # FULL: a commit is on the disk before it is answered. In group commit it costs nothing
    # measurable against NORMAL. Checkpoints are made by the writer, between its batches.
    return (
        *shared,
        "synchronous = FULL",
        "wal_autocheckpoint = 0",
        f"journal_size_limit = {KEPT_BYTES}",
    )
