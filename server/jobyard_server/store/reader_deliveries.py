"""Reads of deliveries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, TypeVar

from jobyard_server.store.rows import kept
from jobyard_server.store.rows_deliveries import DELIVERY_COLUMNS, delivery

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jobyard_server.domain.delivery import Delivery, DeliveryState

T = TypeVar("T")

MOST_COUNTED: Final = 100_000
"""Dead deliveries are counted up to so many: it is done whenever somebody looks."""

_DELIVERIES: Final = f"SELECT {', '.join(DELIVERY_COLUMNS)} FROM deliveries"
_BLOCKED: Final = "SELECT count(*) FROM destinations WHERE blocked_until > ?"
_DEAD: Final = f"SELECT count(*) FROM (SELECT 1 FROM deliveries WHERE state = 'DEAD' LIMIT {MOST_COUNTED:d}) AS dead"
_NEXT: Final = "SELECT min(due_at) FROM destinations WHERE due_at IS NOT NULL"


class DeliveryReader(ABC):
    """The part of a reader that reads deliveries."""

    @abstractmethod
    async def one(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """The only row of a query."""

    @abstractmethod
    async def many(self, sql: str, parameters: Sequence[Any], map_: Callable[[tuple[Any, ...]], T]) -> list[T]:
        """The rows of a query, mapped."""

    async def delivery(self, uid: str) -> Delivery | None:
        """One delivery."""
        row = await self.one(f"{_DELIVERIES} WHERE uid = ?", (uid,))
        return None if row is None else delivery(row)

    async def deliveries(
        self,
        *,
        tenant: str | None,
        state: DeliveryState | None = None,
        api: str | None = None,
        job: int | None = None,
        after: int | None = None,
        oldest_first: bool = False,
        limit: int = 100,
    ) -> Sequence[Delivery]:
        """Deliveries, newest first, those behind the number ``after``."""
        asked = {
            "job =": job,
            "tenant =": None if tenant is None else kept(tenant),
            "state =": None if state is None else state.value,
            "api =": api,
            "id >" if oldest_first else "id <": after,
        }
        given = {term: value for term, value in asked.items() if value is not None}
        where = " AND ".join(f"{term} ?" for term in given) or "1 = 1"
        sql = f"{_DELIVERIES} WHERE {where} ORDER BY id{'' if oldest_first else ' DESC'} LIMIT {limit:d}"
        return await self.many(sql, tuple(given.values()), delivery)

    async def next_delivery(self) -> int | None:
        """When the next delivery is due."""
        row = await self.one(_NEXT)
        return None if row is None or row[0] is None else int(row[0])

    async def blocked_destinations(self, now: int) -> int:
        """How many destinations are left alone because they failed too often."""
        row = await self.one(_BLOCKED, (now,))
        return 0 if row is None else int(row[0])

    async def dead_deliveries(self) -> int:
        """How many deliveries were given up and are kept, up to a bound."""
        row = await self.one(_DEAD)
        return 0 if row is None else int(row[0])
