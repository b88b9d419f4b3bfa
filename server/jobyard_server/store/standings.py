"""Where jobs stand: what they are looked for by that changes while they live, in rows beside theirs.

PostgreSQL leaves the indexes of a row alone as long as nothing changes that any of them holds. A job changes with each
step of its work and is found through a dozen indexes, so none of them holds anything that its work changes; only the
few jobs that are looked for by such things have a row here: those of APIs that sort or filter by them, those that a
schedule waits for, and those that are removed some day.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jobyard_server.store.ledger import Entry
    from jobyard_server.store.sets import Row
    from jobyard_server.store.unit import Unit

COLUMNS: Final = ("number", "api", "tenant", "state_word", "updated_at", "live_parent", "removal_at")
SOURCES: Final = ("number", "api", "tenant", "state_word", "updated_at", "parent", "finished_at", "expires_at")
"""The columns of a job that say where it stands."""

_SOURCES: Final = attrgetter(*SOURCES)
_REPLACE: Final = "ON CONFLICT (number) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in COLUMNS if name not in ("number", "api", "tenant")
)
FILL: Final = (
    f"INSERT INTO standings ({', '.join(COLUMNS)}) SELECT number, api, tenant, state_word, updated_at, "
    "CASE WHEN finished_at IS NULL THEN parent END, expires_at FROM jobs WHERE {where} ON CONFLICT (number) DO NOTHING"
)
"""Writes where jobs stand that have stood nowhere."""
_DROP: Final = "DELETE FROM standings WHERE number IN (SELECT number FROM given)"


def place(unit: Unit, jobs: Iterable[Sequence[Any]]) -> None:
    """Write where new jobs stand; of each the values of :data:`SOURCES`."""
    found = [row for job in jobs if (row := _standing(unit, job)) is not None]
    unit.sets.insert("standings", COLUMNS, found)


def move(unit: Unit, entries: Iterable[Entry]) -> None:
    """Write where jobs stand that have changed."""
    found, gone = [], []
    for entry in entries:
        row = _standing(unit, _SOURCES(entry))
        if row is not None:
            found.append(row)
        elif entry.stood:
            gone.append((entry.number,))
    unit.sets.insert("standings", COLUMNS, found, _REPLACE)
    if gone:
        unit.sets.among(("number",), gone, _DROP)


def _standing(unit: Unit, source: Sequence[Any]) -> Row | None:
    """The row of a job; none for one that nobody looks for by where it stands."""
    number, api, tenant, word, updated_at, parent, finished_at, expires_at = source
    live_parent = parent if finished_at is None else None
    if live_parent is None and expires_at is None and api not in unit.standing:
        return None
    return number, api, tenant, word, updated_at, live_parent, expires_at
