"""A database by its URL: what the store needs of it, whichever it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from sqlalchemy import URL, Connection

    from jobyard_server.store.clock import Clock
    from jobyard_server.store.dialect import Dialect
    from jobyard_server.store.sets import Sets

T = TypeVar("T")

Heard: TypeAlias = "Callable[[set[str] | None, bool], None]"
"""Told which queues were woken (``None``: perhaps any), and whether events were written."""

READERS: Final = 4
"""Threads that read, and so connections that do."""


class Desk(ABC):
    """Where the writer of a process works: one connection, one transaction at a time."""

    sets: Sets

    @property
    def lost(self) -> bool:
        """Whether the connection is gone, and another one has to be made."""
        return False

    @abstractmethod
    def begin(self) -> None:
        """Begin a transaction; connects anew where the connection was lost."""

    @abstractmethod
    def commit(self) -> None:
        """Make it durable; raises when it was not, or when nobody can say."""

    @abstractmethod
    def rollback(self) -> None:
        """Forget it. Never raises: a lost connection has forgotten it already."""

    @abstractmethod
    def tidy(self) -> None:
        """Do between two transactions what nobody has to wait for."""

    @abstractmethod
    def close(self) -> None:
        """Give the connection back."""


class Database(ABC):
    """One database, embedded or not."""

    url: URL
    dialect: Dialect
    point: Sets | None = None
    """For the thread of the event loop, where reading one row costs less than the way to another thread and back."""

    @abstractmethod
    def clock(self) -> Clock:
        """What tells the time to transactions."""

    @abstractmethod
    def preparing(self) -> AbstractContextManager[tuple[Connection, Sets]]:
        """A transaction that brings the schema up to date, in one process at a time."""

    @abstractmethod
    def desk(self) -> Desk:
        """A place to write at."""

    @abstractmethod
    def read(self, work: Callable[[Sets], T], *, snapshot: bool = True) -> T:
        """Read at a connection that cannot write; ``snapshot``: all statements see the same rows.

        Any thread may call it. It is done again once when the connection was lost.
        """

    @abstractmethod
    def version(self, sets: Sets) -> int:
        """A number that changes when others have written; asked at the writer's connection."""

    @abstractmethod
    def give_back(self, sets: Sets) -> int:
        """Give a step of free space back to the disk; how much."""

    @abstractmethod
    def listen(self, heard: Heard) -> None:
        """Begin to hear, in a thread of its own, what other processes woke."""

    @abstractmethod
    def tell(self, queues: set[str], *, changed: bool) -> None:
        """Tell other processes the same, soon."""

    @abstractmethod
    def close(self) -> None:
        """Close every connection."""


def without_password(url: str) -> str:
    """A URL as it may be shown to anybody."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "its URL"


def open_database(url: str) -> Database:
    """The database of a URL; raises ValueError for one that names none. Nothing is connected to yet."""
    parsed = make_url(url)
    match parsed.get_backend_name():
        case "sqlite":
            from jobyard_server.store.sqlite import SqliteDatabase  # noqa: PLC0415 - who uses one need not load the other

            return SqliteDatabase(parsed)
        case "postgresql" | "postgres":
            from jobyard_server.store.postgresql import PostgresDatabase  # noqa: PLC0415 - the same

            return PostgresDatabase(parsed)
        case other:
            raise ValueError(f"no database of this kind is supported: {other}")
