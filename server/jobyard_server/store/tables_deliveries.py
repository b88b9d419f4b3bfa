"""The tables of what is owed to somebody outside: deliveries, and the destinations they go to.

A destination says in ``due_at`` when its next delivery may leave, so that whoever looks for work reads only
destinations that have some, however many others are blocked or have nothing due.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from sqlalchemy import Index

from jobyard_server.store.columns import (
    Row,
    big,
    numbered,
    optional_big,
    part_of_key,
    partial,
    text,
)

READY: Final = "state = 'READY'"
SENDING: Final = "state = 'SENDING'"
OPEN: Final = "state IN ('WAITING', 'READY', 'SENDING')"
"""A delivery that has not ended."""
ENDED: Final = "state IN ('DELIVERED', 'DEAD')"
IN_A_LANE: Final = "state IN ('WAITING', 'READY', 'SENDING') AND lane <> ''"


class DestinationRow(Row, table=True):
    """Somebody outside who is called; an open circuit blocks the destination, not its rows."""

    __tablename__ = "destinations"
    __table_args__: ClassVar[Any] = (
        partial("ix_destinations_due_at", "due_at", where="due_at IS NOT NULL"),
        {"sqlite_with_rowid": False},
    )

    origin: str = part_of_key()
    due_at: int | None = optional_big()
    """When something may leave; unset while nothing waits, or as much is being sent as it takes."""
    failures: int
    """In a row."""
    blocked_until: int | None = optional_big()
    updated_at: int = big()


class DeliveryRow(Row, table=True):
    """An event or a command owed to somebody outside."""

    __tablename__ = "deliveries"
    __table_args__: ClassVar[Any] = (
        partial("ix_deliveries_ready", "destination", "next_at", "id", where=READY),
        partial("ix_deliveries_sending", "destination", where=SENDING),
        partial("ix_deliveries_claimed", "claimed_until", where=SENDING),
        partial("ix_deliveries_lane", "api", "tenant", "lane", "destination", "id", where=IN_A_LANE),
        partial("ix_deliveries_ended", "state", "updated_at", where=ENDED),
        partial("ix_deliveries_dead", "tenant", "id", where="state = 'DEAD'"),
        Index("ix_deliveries_tenant", "tenant", "id"),
        Index("ix_deliveries_job", "job", "id"),
        Index("uq_deliveries_uid", "uid", unique=True),
        {"sqlite_autoincrement": True},
    )

    id: int = numbered()
    uid: str = text()
    api: str = text()
    tenant: str = text()
    kind: str = text()
    job: int | None = optional_big()
    ordering: str = text()
    """ORDERED or LATEST."""
    lane: str = text()
    """Empty where there is no order."""
    destination: str = text()
    address: str = text()
    facts: str = text()
    """JSON: what its API needs to render the call when it is sent."""
    policy: str = text()
    credential: str = text()
    """Sealed, and gone when the delivery has ended."""
    state: str = text()
    attempts: int
    next_at: int = big()
    first_at: int = big()
    claimed_until: int | None = optional_big()
    last_status: int
    last_error: str = text()
    created_at: int = big()
    updated_at: int = big()
