"""What goes wrong in a database, by what follows from it."""

from __future__ import annotations

import sqlite3
from typing import Final

import psycopg
import sqlalchemy.exc

TROUBLE: Final = (sqlite3.Error, psycopg.Error)
"""Whatever a driver says."""

GONE: Final = (
    sqlite3.OperationalError,
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.TimeoutError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
)
"""The database cannot do it now; it may later."""

AGAIN: Final = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)
"""Others were in the way: the whole transaction is done again. It has changed nothing."""

TOO_LONG: Final = (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable)
"""Somebody else is busy there. Doing it in halves would take as long again."""

TAKEN: Final = (psycopg.errors.UniqueViolation,)
"""Others wrote it since it was looked for, so looking again finds it."""

TRIES: Final = 3
