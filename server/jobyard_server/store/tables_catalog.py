"""The tables of what an operator or an API loads: definitions, executors, queues, records."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import Index

from jobyard_server.store.columns import (
    BIG,
    Row,
    big,
    part_of_key,
    real,
    text,
)


class DefinitionRow(Row, table=True):
    """What can be run."""

    __tablename__ = "definitions"
    __table_args__: ClassVar[Any] = (
        Index("ix_definitions_name", "api", "tenant", "kind", "display_name", "id"),
        {"sqlite_with_rowid": False},
    )

    api: str = part_of_key()
    tenant: str = part_of_key()
    id: str = part_of_key()
    version: int = part_of_key(BIG)
    kind: str = text()
    base: str = text()
    display_name: str = text()
    enabled: bool
    queue: str = text()
    spec: str = text()
    attributes: str = text()
    retry: str = text()
    """The retry policy as JSON; empty for the default one."""
    limits: str = text()
    """The time limits as JSON; empty for none."""
    on_lease_loss: str = text()
    resumable: bool
    revision: int = big()
    created_by: str = text()
    created_at: int = big()
    updated_at: int = big()


class AliasRow(Row, table=True):
    """Another name of one version of a definition."""

    __tablename__ = "aliases"
    __table_args__: ClassVar[Any] = ({"sqlite_with_rowid": False},)

    api: str = part_of_key()
    tenant: str = part_of_key()
    name: str = part_of_key()
    definition: str = text()
    version: int = big()
    revision: int = big()
    created_by: str = text()
    created_at: int = big()
    updated_at: int = big()


class ExecutorRow(Row, table=True):
    """Who can run something."""

    __tablename__ = "executors"
    __table_args__: ClassVar[Any] = ({"sqlite_with_rowid": False},)

    api: str = part_of_key()
    tenant: str = part_of_key()
    id: str = part_of_key()
    kind: str = text()
    reach: str = text()
    queue: str = text()
    enabled: bool
    spec: str = text()
    attributes: str = text()
    revision: int = big()
    created_by: str = text()
    created_at: int = big()
    updated_at: int = big()


class QueueRow(Row, table=True):
    """How one line of ready subjobs is served."""

    __tablename__ = "queues"
    __table_args__: ClassVar[Any] = ({"sqlite_with_rowid": False},)

    name: str = part_of_key()
    priority: int
    ordering: str = text()
    status: str = text()
    slots: str = text()
    """JSON list of [start, end] minutes."""
    time_zone: str = text()
    max_running: int
    max_running_per_tenant: int
    rate: float = real()
    """Subjobs handed out in a second; 0 means without limit."""
    burst: int
    tenant_rate: float = real()
    tenant_burst: int
    last_served: str = text()
    """The fair key served last; the next turn starts behind it."""
    revision: int = big()
    updated_at: int = big()


class LaneRow(Row, table=True):
    """How much of its rate a queue, or one tenant on it, has used up; also the lock of whoever counts there."""

    __tablename__ = "lanes"
    __table_args__: ClassVar[Any] = ({"sqlite_with_rowid": False},)

    queue: str = part_of_key()
    tenant: str = part_of_key()
    """Empty for the queue as a whole."""
    used_until: int = big()
    """The instant up to which what was handed out has used the rate up."""


class RecordRow(Row, table=True):
    """Anything else an API owns."""

    __tablename__ = "records"
    __table_args__: ClassVar[Any] = ({"sqlite_with_rowid": False},)

    api: str = part_of_key()
    tenant: str = part_of_key()
    kind: str = part_of_key()
    id: str = part_of_key()
    body: str = text()
    attributes: str = text()
    revision: int = big()
    created_by: str = text()
    created_at: int = big()
    updated_at: int = big()
