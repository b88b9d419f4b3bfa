"""What goes wrong in a database, by what follows from it.

Asked where something went wrong: a driver that was not loaded raises nothing, and who keeps a file does not load the
driver of a database server to know its errors.
"""

from __future__ import annotations

import sqlite3
import sys
from typing import Final, TypeAlias

import sqlalchemy.exc

Errors: TypeAlias = tuple[type[Exception], ...]

TRIES: Final = 3


def trouble() -> Errors:
    """Whatever a driver says."""
    return (sqlite3.Error, *_of_psycopg("Error"))


def gone() -> Errors:
    """The database cannot do it now; it may later."""
    return (
        sqlite3.OperationalError,
        sqlalchemy.exc.OperationalError,
        sqlalchemy.exc.TimeoutError,
        *_of_psycopg("OperationalError", "InterfaceError"),
    )


def again() -> Errors:
    """Others were in the way: the whole transaction is done again. It has changed nothing."""
    return _of_psycopg("SerializationFailure", "DeadlockDetected")


def too_long() -> Errors:
    """Somebody else is busy there. Doing it in halves would take as long again."""
    return _of_psycopg("QueryCanceled", "LockNotAvailable")


def taken() -> Errors:
    """Others wrote it since it was looked for, so looking again finds it."""
    return _of_psycopg("UniqueViolation")


def _of_psycopg(*names: str) -> Errors:
    driver = sys.modules.get("psycopg.errors")
    return () if driver is None else tuple(getattr(driver, name) for name in names)
