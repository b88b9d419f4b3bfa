"""PostgreSQL: any number of processes write at once, each a batch at a time."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg
import structlog
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool
from typing_extensions import override

from jobyard_server.store.clock import Clock
from jobyard_server.store.database import Database, Desk
from jobyard_server.store.dialect import POSTGRESQL
from jobyard_server.store.postgresql_notices import Notices
from jobyard_server.store.postgresql_sets import PostgresSets
from jobyard_server.store.postgresql_writes import adapt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import URL, Connection

    from jobyard_server.domain.job import Micros
    from jobyard_server.store.database import Heard
    from jobyard_server.store.sets import Sets

T = TypeVar("T")

CONNECT_SECONDS: Final = 5
SETTLE_SECONDS: Final = 5.0
"""How long the writer asks what became of a commit whose answer was lost."""
PREPARED: Final = 1_000
"""Statements of a connection that are kept prepared."""
MIGRATING: Final = 0x6A6F6225
POLL_SECONDS: Final = 5
"""How often waiters look by themselves, although nobody wrote events."""

_SETTINGS: Final = (
    "SET statement_timeout = '5s'; SET lock_timeout = '2s'; SET idle_in_transaction_session_timeout = '5s'; "
    "SET TimeZone = 'UTC'; SET jit = off; "
    # What is answered is on the disk, also where the server was told otherwise for others.
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
)
# A writer goes to rows by their keys. Its tables grow faster than anybody counts their rows: the planner, which takes a
# table to be as small as it once was, would read all of it for every batch, and keep that plan.
_BY_KEY: Final = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off"
_KEPT_ALIVE: Final[dict[str, Any]] = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    # Milliseconds after which what was sent and not acknowledged counts as lost.
    "tcp_user_timeout": 10_000,
}
_BEGIN: Final = "BEGIN; SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class DatabaseClock(Clock):
    """The time of the database: the same for all processes, whatever the clocks of their machines show."""

    def __init__(self) -> None:
        super().__init__()
        self._ahead: Micros | None = None

    @override
    def wall(self) -> Micros:
        """About what the clock of the database shows, by how it stood to ours that nobody sets."""
        ahead = self._ahead
        return time.time_ns() // 1000 if ahead is None else self.steady() + ahead

    @override
    def now(self, sets: Sets) -> Micros:
        assert isinstance(sets, PostgresSets)
        self._ahead = sets.began_at - self.steady()
        return sets.began_at


class PostgresDatabase(Database):
    """A database of a server."""

    dialect = POSTGRESQL

    def __init__(self, url: URL) -> None:
        self.url = url
        self._target = url.set(drivername="postgresql").render_as_string(hide_password=False)
        # Says early that it is not understood, while the connections are made late.
        psycopg.conninfo.conninfo_to_dict(self._target)
        self._own = threading.local()
        self._open: set[psycopg.Connection[Any]] = set()
        self._notices: Notices | None = None

    @override
    def clock(self) -> Clock:
        return DatabaseClock()

    def connect(self, *, read_only: bool = False) -> psycopg.Connection[Any]:
        """A new connection as all of ours are."""
        connection = psycopg.connect(self._target, autocommit=True, application_name="jobyard", **_KEPT_ALIVE)
        connection.prepared_max = PREPARED
        adapt(connection)
        connection.execute(_SETTINGS + ("; SET default_transaction_read_only = on" if read_only else ""))
        return connection

    @contextmanager
    @override
    def preparing(self) -> Iterator[tuple[Connection, Sets]]:
        engine = create_engine(self.url.set(drivername="postgresql+psycopg"), poolclass=NullPool)
        with engine.connect() as connection, connection.begin():
            # Of several processes that start at once the first one does it, and the others wait.
            connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATING:d})"))
            driver = connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            adapt(driver)
            yield connection, PostgresSets(driver)

    @override
    def desk(self) -> Desk:
        return PostgresDesk(self)

    @override
    def read(self, work: Callable[[Sets], T], *, snapshot: bool = True) -> T:
        try:
            return self._read(work, snapshot=snapshot)
        except (psycopg.OperationalError, psycopg.InterfaceError):
            if self._reader(anew=False) is not None:
                raise
            # The connection was lost, perhaps long ago; nothing was changed by what it was asked.
            return self._read(work, snapshot=snapshot)

    def _read(self, work: Callable[[Sets], T], *, snapshot: bool) -> T:
        connection = self._reader(anew=True)
        assert connection is not None
        sets = PostgresSets(connection)
        if not snapshot:
            return work(sets)
        connection.execute(_SNAPSHOT)
        try:
            return work(sets)
        finally:
            with suppress(psycopg.Error):
                connection.execute("ROLLBACK")

    def _reader(self, *, anew: bool) -> psycopg.Connection[Any] | None:
        """The connection of this thread, if it is sound."""
        connection: psycopg.Connection[Any] | None = getattr(self._own, "connection", None)
        if connection is not None and connection.closed:
            self._open.discard(connection)
            connection = self._own.connection = None
        if connection is None and anew:
            connection = self._own.connection = self.connect(read_only=True)
            self._open.add(connection)
        return connection

    @override
    def version(self, sets: Sets) -> int:
        # Not everything that makes work ready is told by an event.
        return sets.newest("events") * 1_000 + int(time.monotonic()) // POLL_SECONDS % 1_000

    @override
    def give_back(self, sets: Sets) -> int:
        """Nothing: the server does it by itself."""
        return 0

    @override
    def listen(self, heard: Heard) -> None:
        self._notices = Notices(self.connect, heard)
        self._notices.start()

    @override
    def tell(self, queues: set[str], *, changed: bool) -> None:
        if self._notices is not None:
            self._notices.tell(queues, changed=changed)

    @override
    def close(self) -> None:
        if self._notices is not None:
            self._notices.stop()
        for connection in self._open:
            connection.close()
        self._open.clear()


class PostgresDesk(Desk):
    """The one connection of a process that writes; made when it is needed, and again when it was lost."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._connection: psycopg.Connection[Any] | None = None

    @property
    @override
    def lost(self) -> bool:
        return self._connection is None or self._connection.closed

    @override
    def begin(self) -> None:
        connection = self._connection
        if connection is not None and not connection.closed:
            try:
                self._begin(connection)
            except psycopg.OperationalError:
                # Lost while nobody used it: nothing had been begun.
                if not connection.closed:
                    raise
            else:
                return
        self._connection = self._database.connect()
        self._connection.execute(_BY_KEY)
        self._begin(self._connection)

    def _begin(self, connection: psycopg.Connection[Any]) -> None:
        cursor = connection.execute(_BEGIN)
        cursor.nextset()
        row = cursor.fetchone()
        assert row is not None
        self.sets = PostgresSets(connection, gathers=True)
        self.sets.began_at = row[0]

    @override
    def commit(self) -> None:
        connection, sets = self._connection, self.sets
        assert connection is not None
        assert isinstance(sets, PostgresSets)
        sets.send()
        number = sets.transaction
        if number is None:
            ((number,),) = sets.all("SELECT pg_current_xact_id_if_assigned()::text")
        try:
            done = connection.execute("COMMIT").statusmessage
        except psycopg.OperationalError:
            # Without a number nothing was written, so nothing can have been lost.
            if number is not None and not (connection.closed and self._committed(number, sets)):
                raise
        else:
            if done != "COMMIT":
                raise psycopg.OperationalError("the transaction was rolled back")

    def _committed(self, number: str, sets: PostgresSets) -> bool:
        """What became of a transaction whose commit was not answered; raises when nobody can say.

        The number alone does not tell: after a crash the server gives it to another transaction if nothing of the first
        had come to its disk. What tells is the last row it wrote; one that wrote no event counts as not committed.
        """
        until = time.monotonic() + SETTLE_SECONDS
        while True:
            try:
                self._connection = connection = self._database.connect()
                while time.monotonic() < until:
                    row = connection.execute("SELECT pg_xact_status(%s::xid8)", (number,)).fetchone()
                    if row != ("in progress",):
                        there = row == ("committed",) and PostgresSets(connection).last_of(sets)
                        structlog.get_logger(__name__).warning("commit_settled", committed=there)
                        return there
                    time.sleep(0.02)
            except psycopg.errors.InvalidParameterValue:
                # A server that crashed has never heard of it.
                return False
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise
            if time.monotonic() > until:
                raise psycopg.OperationalError("nobody can say whether the transaction was committed")
            time.sleep(0.1)

    @override
    def rollback(self) -> None:
        if self._connection is not None:
            try:
                self._connection.execute("ROLLBACK")
            except psycopg.Error:
                self._connection.close()

    @override
    def tidy(self) -> None:
        """Nothing: the server does it by itself."""

    @override
    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
