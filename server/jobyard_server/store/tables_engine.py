"""The tables of what happens when nobody calls: schedules, and what is kept in pieces."""

from __future__ import annotations

from typing import Any, ClassVar

from jobyard_server.store.columns import (
    BIG,
    Row,
    big,
    binary,
    optional_big,
    part_of_key,
    partial,
    text,
)


class ScheduleRow(Row, table=True):
    """When a SCHEDULED job is due next, and what it has still to do."""

    __tablename__ = "schedules"
    __table_args__: ClassVar[Any] = (
        partial("ix_schedules_wake_at", "wake_at", where="active AND wake_at IS NOT NULL"),
        partial("ix_schedules_waits", "job", where="active AND waits"),
    )

    job: int = part_of_key(BIG)
    active: bool
    """Whether it is heeded: its job is neither paused nor ended."""
    spec: str = text()
    """JSON: cron or instant, time zone, start, end, overlap policy, catch-up window, jitter."""
    next_due: int | None = optional_big()
    remaining: int | None = optional_big()
    buffer: str = text()
    """JSON list of due times that wait for the end of a job; empty for none."""
    backfill: str = text()
    """The same of due times that a user asked for."""
    wake_at: int | None = optional_big()
    """When there is something to do by the clock."""
    waits: bool
    """Whether there is something to do when no job of it goes on."""
    revision: int = big()
    last_due: int | None = optional_big()
    fired_at: int | None = optional_big()


class FireRow(Row, table=True):
    """What became of a due time. The key is what makes sure that no due time is fired twice."""

    __tablename__ = "fires"
    __table_args__: ClassVar[Any] = ({"sqlite_with_rowid": False},)

    job: int = part_of_key(BIG)
    due_at: int = part_of_key(BIG)
    until: int | None = optional_big()
    """The end of a row of due times with the same fate."""
    fate: str = text()
    child: int | None = optional_big()
    """The number of the job that was made."""
    reason: str = text()
    message: str = text()
    fired_at: int = big()


class LogChunkRow(Row, table=True):
    """A piece of the log of an attempt."""

    __tablename__ = "log_chunks"

    subjob: int = part_of_key(BIG)
    attempt: int = part_of_key(BIG)
    start: int = part_of_key(BIG)
    data: bytes = binary()


class BlobRow(Row, table=True):
    """A payload too large for its row."""

    __tablename__ = "blobs"

    id: str = part_of_key()
    job: int | None = optional_big(index=True)
    size: int = big()
    sha256: str = text()
    complete: bool
    created_at: int = big()


class BlobChunkRow(Row, table=True):
    """A piece of a blob."""

    __tablename__ = "blob_chunks"

    blob: str = part_of_key()
    number: int = part_of_key(BIG)
    data: bytes = binary()
