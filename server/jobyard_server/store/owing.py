"""Deliveries as they are owed: which may leave at once, which wait for others of their lane, which replace others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jobyard_server.domain.address import destination_of
from jobyard_server.domain.delivery import CLAIM_SECONDS, IN_FLIGHT, DeliveryState, Ordering
from jobyard_server.domain.reason import invalid
from jobyard_server.store.rows import MICROS, kept
from jobyard_server.store.rows_deliveries import NEW_DELIVERY_COLUMNS, lane_of, new_delivery
from jobyard_server.store.tables_deliveries import IN_A_LANE, READY, SENDING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jobyard_server.domain.delivery import NewDelivery
    from jobyard_server.store.unit import Unit

DELIVERIES: Final = "\x1adeliveries"
"""What is woken when a delivery may leave. No queue is called so: no stored text holds a lone U+001A."""

_IN_LANE: Final = f"api = ? AND tenant = ? AND lane = ? AND {IN_A_LANE}"
_BUSY: Final = f"SELECT 1 FROM deliveries WHERE {_IN_LANE} AND destination = ? LIMIT 1"
_UNSENT: Final = "state IN ('WAITING', 'READY')"
_REPLACE: Final = (
    f"DELETE FROM deliveries WHERE {_IN_LANE} AND destination = ? AND kind = ? AND {_UNSENT} "
    "RETURNING destination, state"
)
_OWED: Final = f"SELECT id, kind, destination, state FROM deliveries WHERE {_IN_LANE} AND {_UNSENT}"
_IS_SENDING: Final = f"SELECT 1 FROM deliveries WHERE {_IN_LANE} AND kind = ? AND {SENDING} LIMIT 1"
_REMOVE: Final = f"DELETE FROM deliveries WHERE id IN (SELECT id FROM given) AND {_UNSENT} RETURNING destination"
_FREE: Final = (
    "SELECT 1 FROM destinations WHERE origin = ? AND (blocked_until > ? OR "
    f"(SELECT count(*) FROM (SELECT 1 FROM deliveries WHERE destination = origin AND {SENDING} "
    f"LIMIT {IN_FLIGHT:d}) AS busy) >= {IN_FLIGHT:d} OR failures > 0)"
)
# Both conditions on the state: the first one is that of the index, which is recognized only word for word.
_OF_LINE: Final = (
    "FROM deliveries AS d WHERE d.api = line.api AND d.tenant = line.tenant AND d.lane = line.lane "
    f"AND d.destination = line.destination AND {IN_A_LANE.replace('state', 'd.state').replace('lane', 'd.lane')}"
)
_PROMOTE: Final = (
    "UPDATE deliveries SET state = 'READY' FROM "
    f"(SELECT (SELECT min(d.id) {_OF_LINE} AND d.state = 'WAITING') AS head FROM given AS line "
    f"WHERE NOT EXISTS (SELECT 1 {_OF_LINE} AND d.state IN ('READY', 'SENDING'))) AS line "
    "WHERE deliveries.id = line.head RETURNING deliveries.id"
)
_TIMETABLE: Final = (
    "UPDATE destinations SET due_at = CASE WHEN line.next_at < blocked_until THEN blocked_until "
    "ELSE line.next_at END FROM (SELECT given.origin AS place, "
    f"(SELECT min(d.next_at) FROM deliveries AS d WHERE d.destination = given.origin AND d.{READY}) AS next_at "
    "FROM given) AS line WHERE destinations.origin = line.place RETURNING due_at"
)
# Also where it was forgotten meanwhile, for being idle.
_LOCK: Final = "ON CONFLICT (origin) DO UPDATE SET failures = destinations.failures"
_KNOW: Final = "ON CONFLICT (origin) DO NOTHING"
_BLOCKED: Final = "SELECT blocked_until FROM destinations WHERE origin = ? AND blocked_until > ?"

Lane = tuple[str, str, str, str]
"""API, tenant, lane and destination."""


def deliver(unit: Unit, new: NewDelivery) -> tuple[Any, ...]:
    """Owe a delivery; its row. The timetable of its destination has to follow before the transaction ends."""
    try:
        destination = f"{destination_of(new.address)} {kept(new.channel)}".rstrip()
    except ValueError as problem:
        raise invalid("address", f"The address {problem}.") from None
    lane: Lane = (new.api, kept(new.tenant), lane_of(new), destination)
    _hold(unit, [lane])
    if new.ordering is Ordering.LATEST and lane[2]:
        _replace(unit, lane, new.kind)
    state, claimed = DeliveryState.READY, None
    if lane[2] and unit.sets.all(_BUSY, lane):
        state = DeliveryState.WAITING
    elif new.claimed and new.not_before is None and not unit.sets.all(_FREE, (destination, unit.now)):
        state, claimed = DeliveryState.SENDING, unit.now + round(CLAIM_SECONDS * MICROS)
    (number,) = unit.numbers(deliveries=1)
    row = new_delivery(new, number, unit.new_uid(), destination, unit.now, state=state, claimed=claimed)
    unit.sets.insert("deliveries", NEW_DELIVERY_COLUMNS, [row])
    unit.sets.insert("destinations", ("origin", "failures", "updated_at"), [(destination, 0, unit.now)], _KNOW)
    return row


def _replace(unit: Unit, lane: Lane, kind: str) -> None:
    """Remove what a newer delivery of the same kind makes pointless."""
    gone = unit.sets.all(_REPLACE, (*lane, kind))
    if any(state == DeliveryState.READY for _, state in gone):
        promote(unit, [lane])


def withdraw(unit: Unit, api: str, tenant: str, lane: str, kinds: frozenset[str]) -> list[str]:
    """Take back what a lane owes and has not begun to send; the destination of each."""
    named = (api, kept(tenant), kept(lane))
    owed = unit.sets.all(_OWED, named)
    wanted = [(number,) for number, kind, *_ in owed if not kinds or kind in kinds]
    gone = [place for (place,) in unit.sets.among(("id",), wanted, _REMOVE)]
    promote(unit, {(*named, place) for place in gone})
    return gone


def is_sending(unit: Unit, api: str, tenant: str, lane: str, kind: str) -> bool:
    """Whether a delivery of a kind is being sent in a lane."""
    return bool(unit.sets.all(_IS_SENDING, (api, kept(tenant), kept(lane), kind)))


def promote(unit: Unit, lanes: Iterable[Lane]) -> None:
    """Make the next of each lane ready, where nothing of it is ready or being sent."""
    wanted = sorted(set(lanes))
    _hold(unit, wanted)
    unit.sets.among(("api", "tenant", "lane", "destination"), wanted, _PROMOTE)


def _hold(unit: Unit, lanes: Iterable[Lane]) -> None:
    """Keep others from lanes: what they add now is promoted by nobody."""
    unit.sets.hold("\0".join(lane) for lane in lanes if lane[2])


def keep_timetable(unit: Unit, destinations: Iterable[str]) -> None:
    """Have it said anew, before the transaction ends, when each destination has something due."""
    unit.destinations.update(destinations)


def make_timetables(unit: Unit) -> None:
    """Say anew when each destination that is concerned has something due, and wake whoever sends."""
    if not unit.destinations:
        return
    places = [(place,) for place in sorted(unit.destinations)]
    unit.destinations.clear()
    if unit.sets.dialect.concurrent:
        # What others owe there is seen by a statement that begins when they have ended.
        known = [(place, 0, unit.now) for (place,) in places]
        unit.sets.insert("destinations", ("origin", "failures", "updated_at"), known, _LOCK)
    dues = unit.sets.among(("origin",), places, _TIMETABLE)
    if any(due is not None for (due,) in dues):
        # Also for later: whoever sleeps until the next due time has to hear of an earlier one.
        unit.woken.add(DELIVERIES)


def blocked_until(unit: Unit, destination: str) -> int | None:
    """Until when a destination is left alone, if it is."""
    for (until,) in unit.sets.all(_BLOCKED, (destination, unit.now)):
        return int(until)
    return None
