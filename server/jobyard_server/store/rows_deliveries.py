"""Rows of deliveries to the domain and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jobyard_server.domain.delivery import Delivery, DeliveryState, Ordering
from jobyard_server.store.rows import given, kept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobyard_server.domain.delivery import NewDelivery

DELIVERY_COLUMNS: Final = (
    *("id", "uid", "api", "tenant", "kind", "job", "ordering", "lane", "destination", "address", "facts", "policy"),
    *("credential", "state", "attempts", "next_at", "first_at", "last_status", "last_error", "created_at"),
    "updated_at",
)
NEW_DELIVERY_COLUMNS: Final = (*DELIVERY_COLUMNS, "claimed_until")


def delivery(row: Sequence[Any]) -> Delivery:
    """A delivery from a row of :data:`DELIVERY_COLUMNS`."""
    return Delivery(
        number=row[0],
        uid=row[1],
        api=row[2],
        tenant=given(row[3]),
        kind=row[4],
        job=row[5],
        ordering=Ordering(row[6]),
        lane=given(row[7]),
        destination=row[8],
        address=row[9],
        facts=row[10],
        policy=row[11],
        credential=row[12],
        state=DeliveryState(row[13]),
        attempts=row[14],
        next_at=row[15],
        first_at=row[16],
        last_status=row[17],
        last_error=given(row[18]),
        created_at=row[19],
        updated_at=row[20],
    )


def lane_of(new: NewDelivery) -> str:
    """The lane of a delivery as it is stored."""
    return kept(new.lane) or ("" if new.job is None else str(new.job))


def new_delivery(
    new: NewDelivery, number: int, uid: str, destination: str, now: int, *, state: DeliveryState, claimed: int | None
) -> tuple[Any, ...]:
    """The row of a delivery as it is owed, in the order of :data:`NEW_DELIVERY_COLUMNS`."""
    due = now if new.not_before is None else max(now, new.not_before)
    return (
        *(number, uid, new.api, kept(new.tenant), new.kind, new.job, new.ordering.value, lane_of(new), destination),
        *(new.address, new.facts, new.policy, new.credential, state.value, int(claimed is not None), due, due),
        *(0, "", now, now, claimed),
    )
