"""Fair turns on a queue: the keys that wait take turns, found by skipping from key to key in the index."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from jobyard_server.store.tables import READY, READY_IN_LINE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobyard_server.store.sets import Sets

Found: TypeAlias = tuple[int, int, int, str]
"""(priority, job, subjob, fair key)."""

MAX_ARMS: Final = 100
MAX_KEYS: Final = 1000
"""Keys looked at for one tenant."""

_LEVEL: Final = f"SELECT max(priority) FROM subjobs WHERE queue = ? AND {READY} AND priority < ?"
_LEVEL_OF_TENANT: Final = _LEVEL + " AND tenant = ?"
_OF_TENANT: Final = (
    "SELECT priority, job, id, fair_key FROM subjobs "
    f"WHERE queue = ? AND {READY} AND priority = ? AND tenant = ? ORDER BY job, id LIMIT ?"
)
_NEXT_KEY: Final = f"SELECT min(fair_key) FROM subjobs WHERE queue = ? AND {READY} AND priority = ? AND fair_key"
# Each step of the recursion is one seek in the index, however many subjobs a key has waiting.
_KEYS: Final = (
    f"WITH RECURSIVE keys(k) AS (SELECT ({_NEXT_KEY} > ?) UNION ALL "
    f"SELECT ({_NEXT_KEY} > k) FROM keys WHERE k IS NOT NULL) "
    "SELECT k FROM keys WHERE k IS NOT NULL LIMIT ?"
)
_OF_KEY: Final = (
    "SELECT s.priority, s.job, s.id, s.fair_key FROM {turns} "
    f"WHERE s.queue = ? AND {READY_IN_LINE} AND s.priority = ? AND s.fair_key = ? "
)
_LIMIT: Final = "ORDER BY s.job, s.id LIMIT ?"
_ABOVE_ALL: Final = 2**62


def fair_turns(sets: Sets, queue: str, tenant: str | None, last_served: str, demand: int) -> list[Found]:
    """At most ``demand`` turns: higher priorities first, and within one the keys in rotation."""
    turns: list[Found] = []
    priority = _ABOVE_ALL
    while len(turns) < demand:
        ((level,),) = (
            sets.all(_LEVEL, (queue, priority))
            if tenant is None
            else sets.all(_LEVEL_OF_TENANT, (queue, priority, tenant))
        )
        if level is None:
            break
        priority = level
        missing = demand - len(turns)
        # Keys of other tenants wait among them, and are found to have nothing for this one.
        keys = _keys(sets, queue, priority, last_served, missing if tenant is None else MAX_KEYS)
        found = _rotate(_waiting(sets, queue, priority, keys, tenant, missing), missing)
        if tenant is not None and len(found) < missing and len(keys) == MAX_KEYS:
            # So many keys of others wait that its own were not all seen: what is left goes by age.
            oldest = [tuple(row) for row in sets.all(_OF_TENANT, (queue, priority, tenant, missing))]
            seen = set(found)
            found += [turn for turn in oldest if turn not in seen][: missing - len(found)]
        turns += found
    return turns


def _keys(sets: Sets, queue: str, priority: int, last: str, most: int) -> list[str]:
    """The keys that wait, those behind the one served last first."""
    scope = (queue, priority)
    behind = sets.all(_KEYS, (*scope, last, *scope, most))
    keys = [key for (key,) in behind]
    if len(keys) < most:
        # From the start again; the empty key sorts first and is above nothing.
        ((first,),) = sets.all(f"{_NEXT_KEY} >= ''", scope)
        again = [first] if first is not None else []
        again += [key for (key,) in sets.all(_KEYS, (*scope, first or "", *scope, most))]
        seen = set(keys)
        keys += [key for key in again if key not in seen]
    return keys[:most]


def _waiting(
    sets: Sets, queue: str, priority: int, keys: Sequence[str], tenant: str | None, most: int
) -> list[deque[Found]]:
    """The first subjobs of each key; one each where there are keys enough."""
    depth = 1 if tenant is None and len(keys) >= most else most
    lines: dict[str, deque[Found]] = {key: deque() for key in keys}
    own = _OF_KEY + ("AND s.tenant = ? " if tenant is not None else "") + _LIMIT
    arm = f"SELECT * FROM ({sets.dialect.leasing(own.format(turns=sets.dialect.turns))}) AS turn"
    for start in range(0, len(keys), MAX_ARMS):
        part = keys[start : start + MAX_ARMS]
        parameters: list[Any] = []
        for key in part:
            parameters += (queue, priority, key)
            parameters += (depth,) if tenant is None else (tenant, depth)
        for row in sets.all(" UNION ALL ".join([arm] * len(part)), parameters):
            lines[row[3]].append((row[0], row[1], row[2], row[3]))
    return [lines[key] for key in keys]


def _rotate(lines: list[deque[Found]], most: int) -> list[Found]:
    """One of each key in turn."""
    turns: list[Found] = []
    waiting = deque(line for line in lines if line)
    while waiting and len(turns) < most:
        line = waiting.popleft()
        turns.append(line.popleft())
        if line:
            waiting.append(line)
    return turns
