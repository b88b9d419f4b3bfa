"""SQLite: a file, written by one transaction at a time of any process on this machine."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import create_engine, event
from sqlalchemy.pool import QueuePool
from typing_extensions import override

from jobyard_server.store.checkpoints import KEPT_BYTES, Checkpoints
from jobyard_server.store.clock import Clock
from jobyard_server.store.database import READERS, Database, Desk
from jobyard_server.store.dialect import SQLITE
from jobyard_server.store.sets import SqliteSets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import URL, Connection, Engine

    from jobyard_server.store.database import Heard
    from jobyard_server.store.sets import Sets

T = TypeVar("T")

BUSY_MILLISECONDS: Final = 5_000
WRITER_KIBIBYTES: Final = 8_192
READER_KIBIBYTES: Final = 2_048
"""Pages that a connection keeps in memory; what it does not keep the system does, a copy away."""
VACUUM_PAGES: Final = 256
"""Pages given back by one step: a few milliseconds."""
SPARE_PAGES: Final = 4096
"""Free pages that are kept: they are used again soon."""
SPARE_PART: Final = 4
"""And free pages that are less than such a part of the file."""


class SqliteDatabase(Database):
    """A database file."""

    dialect = SQLITE

    def __init__(self, url: URL) -> None:
        self.url = url
        self.path = _file_of(url)
        target = url.set(drivername="sqlite+pysqlite")
        self._writer = _engine(target, size=1, read_only=False)
        self._readers = _engine(target, size=READERS, read_only=True)
        self._point = self._readers.raw_connection()
        driver = self._point.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        # Outside a transaction, so every statement sees what is committed when it starts.
        self.point = SqliteSets(driver)

    @override
    def clock(self) -> Clock:
        return Clock()

    @contextmanager
    @override
    def preparing(self) -> Iterator[tuple[Connection, Sets]]:
        with self._writer.connect() as connection, connection.begin():
            yield connection, SqliteSets(_driver(connection))

    @override
    def desk(self) -> Desk:
        return SqliteDesk(self._writer, self.path)

    @override
    def read(self, work: Callable[[Sets], T], *, snapshot: bool = True) -> T:
        with self._readers.connect() as connection, connection.begin():
            return work(SqliteSets(_driver(connection)))

    @override
    def version(self, sets: Sets) -> int:
        ((version,),) = sets.all("PRAGMA data_version")
        return int(version)

    @override
    def give_back(self, sets: Sets) -> int:
        ((free,),) = sets.all("PRAGMA freelist_count")
        ((size,),) = sets.all("PRAGMA page_count")
        if free <= max(SPARE_PAGES, size // SPARE_PART):
            return 0
        sets.all(f"PRAGMA incremental_vacuum({VACUUM_PAGES:d})")
        ((left,),) = sets.all("PRAGMA freelist_count")
        return int(free - left)

    @override
    def listen(self, heard: Heard) -> None:
        """Nobody tells: a second process on the file is noticed by :meth:`version`."""

    @override
    def tell(self, queues: set[str], *, changed: bool) -> None:
        """Nobody listens."""

    @override
    def close(self) -> None:
        self._point.close()
        self._readers.dispose()
        self._writer.dispose()


class SqliteDesk(Desk):
    """The one connection that writes; beginning takes the write lock at once."""

    sets: SqliteSets

    def __init__(self, engine: Engine, path: Path) -> None:
        self._connection = engine.connect()
        self._driver = _driver(self._connection)
        self._checkpoints = Checkpoints(path)
        self.sets = SqliteSets(self._driver)

    @override
    def begin(self) -> None:
        self._driver.execute("BEGIN IMMEDIATE")
        self.sets.begin()

    @override
    def commit(self) -> None:
        self._driver.execute("COMMIT")
        # Looked at here and not when it is tidied up: every call to the system lets go of the interpreter lock, and
        # getting it back then would be a fight with the thread that has just been handed the answers.
        self._checkpoints.look()

    @override
    def rollback(self) -> None:
        # A full disk rolls back by itself.
        if self._driver.in_transaction:
            with suppress(sqlite3.Error):
                self._driver.execute("ROLLBACK")

    @override
    def tidy(self) -> None:
        with suppress(sqlite3.OperationalError):
            # It is due still, and tried again when the log has grown.
            self._checkpoints.make(self.sets)

    @override
    def close(self) -> None:
        self._connection.close()


def _driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


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
        _driver(connection).execute("BEGIN" if read_only else "BEGIN IMMEDIATE")

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begin)
    return engine


def _pragmas(*, read_only: bool) -> tuple[str, ...]:
    shared = (
        # Free pages can be given back to the disk. It counts for the first one that opens a new file, if said first.
        "auto_vacuum = INCREMENTAL",
        f"busy_timeout = {BUSY_MILLISECONDS}",
        "journal_mode = WAL",
        f"cache_size = -{READER_KIBIBYTES if read_only else WRITER_KIBIBYTES}",
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
