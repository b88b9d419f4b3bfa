"""The tables of what happens when nobody calls: schedules, deliveries, and what is kept in pieces."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import Index

from jobyard_server.store.columns import (
    BIG,
    Row,
    big,
    binary,
    numbered,
    optional_big,
    optional_text,
    part_of_key,
    partial,
    text,
)


class ScheduleRow(Row, table=True):
    """When a SCHEDULED job is due next."""

    __tablename__ = "schedules"
    __table_args__: ClassVar[Any] = (partial("ix_schedules_next_due", "next_due", where="active"),)

    job: int = part_of_key(BIG)
    spec: str = text()
    """JSON: cron or instant, time zone, start, end, overlap policy, catch-up window, jitter."""
    active: bool
    next_due: int | None = optional_big()
    last_due: int | None = optional_big()
    remaining: int | None = optional_big()


class FireRow(Row, table=True):
    """One due time of a schedule, fired once: the key is what makes it so."""

    __tablename__ = "fires"
    __table_args__: ClassVar[Any] = ({"sqlite_with_rowid": False},)

    job: int = part_of_key(BIG)
    due_at: int = part_of_key(BIG)
    child: int | None = optional_big()
    """The number of the job it made, where a fire makes a job of its own."""
    fired_at: int = big()


class DestinationRow(Row, table=True):
    """Somebody outside who is called; an open circuit blocks the destination, not its rows."""

    __tablename__ = "destinations"
    __table_args__: ClassVar[Any] = ({"sqlite_with_rowid": False},)

    origin: str = part_of_key()
    failures: int
    blocked_until: int | None = optional_big()
    updated_at: int = big()


class DeliveryRow(Row, table=True):
    """An event or a command owed to somebody outside."""

    __tablename__ = "deliveries"
    __table_args__: ClassVar[Any] = (
        partial("ix_deliveries_ready", "destination", "next_at", where="state = 'READY'"),
        Index("ix_deliveries_job", "job", "destination", "id"),
        {"sqlite_autoincrement": True},
    )

    id: int = numbered()
    job: int | None = optional_big()
    api: str = text()
    tenant: str = text()
    kind: str = text()
    ordering: str = text()
    """ORDERED or LATEST."""
    destination: str = text()
    address: str = text()
    facts: str = text()
    """JSON: what its API needs to render the body when it is sent."""
    event: int | None = optional_big()
    state: str = text()
    attempts: int
    next_at: int = big()
    claimed_until: int | None = optional_big()
    last_error: str | None = optional_text()
    created_at: int = big()
    updated_at: int = big()


class LogChunkRow(Row, table=True):
    """A piece of the log of an attempt."""

    __tablename__ = "log_chunks"

    subjob: int = part_of_key(BIG)
    attempt: int = part_of_key(BIG)
    offset: int = part_of_key(BIG)
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
