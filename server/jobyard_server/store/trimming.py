"""What keeps the file from growing for ever: old events are forgotten, and free pages given back to the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobyard_server.store.expiry import STEP

if TYPE_CHECKING:
    from jobyard_server.domain.job import Micros
    from jobyard_server.store.unit import Unit

EVENT_FLOOR: Final = "event_floor"
"""Up to this position events may be gone; watchers that come from below are told so."""

VACUUM_PAGES: Final = 256
"""Pages given back by one step: a few milliseconds."""
SPARE_PAGES: Final = 4096
"""Free pages that are kept: they are used again soon."""
SPARE_PART: Final = 4
"""And free pages that are less than such a part of the file."""

_OLDEST: Final = "SELECT position, at FROM events ORDER BY position LIMIT ?"
_FORGET: Final = "DELETE FROM events WHERE position <= ?"
_KEEP: Final = "INSERT INTO meta(name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"


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


def give_back(unit: Unit, pages: int = VACUUM_PAGES) -> int:
    """Give free pages back when there are many; how many."""
    ((free,),) = unit.sets.all("PRAGMA freelist_count")
    ((size,),) = unit.sets.all("PRAGMA page_count")
    if free <= max(SPARE_PAGES, size // SPARE_PART):
        return 0
    unit.sets.all(f"PRAGMA incremental_vacuum({pages:d})")
    ((left,),) = unit.sets.all("PRAGMA freelist_count")
    return int(free - left)
