"""The part of a transaction that owes calls to somebody outside."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from jobyard_server.domain.delivery import DeliveryState
from jobyard_server.domain.reason import Reason, refuse
from jobyard_server.store.owing import blocked_until, deliver, is_sending, promote, withdraw
from jobyard_server.store.rows import kept
from jobyard_server.store.rows_deliveries import DELIVERY_COLUMNS, delivery

if TYPE_CHECKING:
    from jobyard_server.domain.delivery import Delivery, NewDelivery
    from jobyard_server.store.unit import Unit

_COLUMNS: Final = ", ".join(DELIVERY_COLUMNS)
_ONE: Final = f"SELECT {_COLUMNS} FROM deliveries WHERE uid = ?"
_ANEW: Final = (
    "UPDATE deliveries SET state = 'WAITING', attempts = 0, next_at = ?, first_at = ?, updated_at = ? "
    f"WHERE id = ? RETURNING {_COLUMNS}"
)
_LEAVE: Final = f"UPDATE deliveries SET state = 'READY' WHERE id = ? AND lane = '' RETURNING {_COLUMNS}"


class DeliveryTransaction:
    """Deliveries owed, withdrawn and owed again."""

    _unit: Unit

    def deliver(self, delivery_: NewDelivery) -> Delivery:
        """Owe a call to somebody outside."""
        made = delivery(deliver(self._unit, delivery_))
        self._unit.destinations.add(made.destination)
        if made.state is DeliveryState.SENDING:
            return made
        until = blocked_until(self._unit, made.destination)
        return made if until is None else replace(made, next_at=max(made.next_at, until))

    def withdraw(self, api: str, tenant: str, lane: str, kinds: frozenset[str] = frozenset()) -> int:
        """Take back what a lane still owes and has not begun to send."""
        gone = withdraw(self._unit, api, tenant, lane, kinds)
        self._unit.destinations.update(gone)
        return len(gone)

    def sending(self, api: str, tenant: str, lane: str, kind: str) -> bool:
        """Whether a delivery of a kind is being sent in a lane."""
        return is_sending(self._unit, api, tenant, lane, kind)

    def redrive(self, uid: str, tenant: str | None) -> Delivery | None:
        """Owe a dead delivery again, as if it were new but for its ``uid``."""
        found = [delivery(row) for row in self._unit.sets.all(_ONE, (uid,))]
        if not found or tenant not in {None, found[0].tenant}:
            return None
        (dead,) = found
        if dead.state is not DeliveryState.DEAD:
            raise refuse(Reason.STATE_CONFLICT, f"Delivery {uid} is {dead.state}, not DEAD.", state=dead.state)
        now = self._unit.now
        self._unit.sets.all(_ANEW, (now, now, now, dead.number))
        self._unit.sets.all(_LEAVE, (dead.number,))
        promote(self._unit, [(dead.api, kept(dead.tenant), kept(dead.lane), dead.destination)])
        self._unit.destinations.add(dead.destination)
        (row,) = self._unit.sets.all(_ONE, (uid,))
        return delivery(row)
