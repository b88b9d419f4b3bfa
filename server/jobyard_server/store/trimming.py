"""What keeps the database from growing for ever: old events are forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobyard_server.store.expiry import STEP

if TYPE_CHECKING:
    from jobyard_server.domain.job import Micros
    from jobyard_server.store.unit import Unit

EVENT_FLOOR: Final = "event_floor"
"""Up to this position events may be gone; watchers that come from below are told so."""

_OLDEST: Final = "SELECT position, at FROM events ORDER BY position LIMIT ?"
_FORGET: Final = "DELETE FROM events WHERE position <= ?"
_KEEP: Final = (
    "INSERT INTO meta(name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value "
    "WHERE CAST(meta.value AS BIGINT) < CAST(excluded.value AS BIGINT)"
)


def forget_events(unit: Unit, age: Micros, limit: int = STEP) -> int:
    """Forget events that are older, from the oldest on; how many."""
    before, last, count = unit.now - age, 0, 0
    for position, at in unit.sets.all(_OLDEST, (limit,)):
        if at > before:
            break
        last, count = position, count + 1
    if count:
        unit.sets.run(_FORGET, (last,))
        unit.sets.run(_KEEP, (EVENT_FLOOR, str(last)))
        # Watchers that are behind learn of it now, and not with the next event.
        unit.changed = True
    return count
