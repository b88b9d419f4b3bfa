"""Which ready subjobs are next on a set of queues: their settings, their caps, their order."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from jobyard_server.domain.catalog import Queue, QueueOrder, QueueStatus
from jobyard_server.store.fair import fair_turns
from jobyard_server.store.rows import kept
from jobyard_server.store.rows_catalog import QUEUE_COLUMNS
from jobyard_server.store.rows_catalog import queue as queue_of
from jobyard_server.store.tables import READY, RUNNING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jobyard_server.domain.job import Micros
    from jobyard_server.store.unit import Unit

MAX_ARMS: Final = 100
"""Queues looked at by one statement; SQLite takes at most 500 parts of a compound query."""

_COLUMNS: Final = (*QUEUE_COLUMNS, "last_served")
_QUEUES: Final = (
    f"SELECT {', '.join('q.' + name for name in _COLUMNS)} "  # noqa: S608 - our own names
    "FROM given CROSS JOIN queues AS q WHERE q.name = given.name"
)
_CAPPED: Final = "SELECT q.name FROM given CROSS JOIN queues AS q WHERE q.name = given.name AND q.max_running > 0"
_ORDER: Final = "ORDER BY priority DESC, job, id LIMIT ?"
_OF_ANY: Final = (
    "SELECT * FROM (SELECT ?, priority, job, id, fair_key FROM subjobs "  # noqa: S608
    f"WHERE queue = ? AND {READY} {_ORDER})"
)
_OF_TENANT: Final = (
    "SELECT * FROM (SELECT ?, priority, job, id, fair_key FROM subjobs "  # noqa: S608
    f"WHERE queue = ? AND {READY} AND tenant = ? {_ORDER})"
)
_BUSY: Final = (
    "SELECT ?, count(*) FROM (SELECT 1 FROM subjobs "  # noqa: S608
    f"WHERE queue = ? AND {RUNNING} LIMIT ?)"
)


@dataclass(frozen=True, slots=True)
class Turn:
    """A ready subjob at its place in its line."""

    priority: int
    job: int
    subjob: int
    fair_key: str


@dataclass(slots=True)
class Line:
    """A queue as workers of one tenant, or of any, see it."""

    queue: Queue
    tenant: str | None
    last_served: str
    room: Room
    demand: int = 0
    turns: list[Turn] = field(default_factory=list)


@dataclass(slots=True)
class Room:
    """How many more subjobs of a queue may run; shared by all lines of the queue."""

    left: int | None = None


def capped(unit: Unit, names: Iterable[str]) -> set[str]:
    """Those of the queues, named as they are stored, that limit how many subjobs run."""
    rows = unit.sets.among(("name",), [(name,) for name in sorted(set(names))], _CAPPED)
    return {name for (name,) in rows}


def open_now(queue: Queue, now: Micros) -> bool:
    """Whether a queue hands out work at this time."""
    if queue.status is QueueStatus.SCHEDULED:
        local = datetime.fromtimestamp(now / 1_000_000, UTC).astimezone(ZoneInfo(queue.time_zone))
        minute = local.hour * 60 + local.minute
        return any(slot.covers(minute) for slot in queue.slots)
    return queue.status is QueueStatus.ENABLED


def read_lines(unit: Unit, demands: Iterable[tuple[str, str | None, int]]) -> dict[tuple[str, str | None], Line]:
    """The lines of (queue, tenant, demand) triples, each with as many turns as may be asked of it."""
    wanted = list(demands)
    total: dict[str, int] = {}
    for name, _, demand in wanted:
        total[name] = total.get(name, 0) + demand
    queues = _read_queues(unit, sorted(total))
    rooms = {name: Room() for name in total}
    lines: dict[tuple[str, str | None], Line] = {}
    for name, tenant, _ in wanted:
        queue, last_served = queues.get(name, (Queue(name), ""))
        if (name, tenant) not in lines and open_now(queue, unit.now):
            # Another line of the same queue may take turns first, so each reads enough for all.
            lines[name, tenant] = Line(queue, tenant, last_served, rooms[name], total[name])
    found = list(lines.values())
    _read_rooms(unit, found)
    _read_turns(unit, [line for line in found if line.demand > 0])
    return lines


def _read_queues(unit: Unit, names: Sequence[str]) -> dict[str, tuple[Queue, str]]:
    rows = unit.sets.among(("name",), [(kept(name),) for name in names], _QUEUES)
    found = [(queue_of(row), row[-1]) for row in rows]
    return {queue.name: (queue, last_served) for queue, last_served in found}


def _read_rooms(unit: Unit, lines: Sequence[Line]) -> None:
    """Count what runs on capped queues, never beyond the cap."""
    capped = {line.queue.name: line for line in lines if line.queue.max_running > 0}
    names = list(capped)
    for start in range(0, len(names), MAX_ARMS):
        part = names[start : start + MAX_ARMS]
        parameters: list[Any] = []
        for name in part:
            parameters += (name, kept(name), capped[name].queue.max_running)
        for name, busy in unit.sets.all(" UNION ALL ".join([_BUSY] * len(part)), parameters):
            capped[name].room.left = capped[name].queue.max_running - busy
    for line in lines:
        if line.room.left is not None:
            line.demand = min(line.demand, line.room.left)


def _read_turns(unit: Unit, lines: Sequence[Line]) -> None:
    fifo = [line for line in lines if line.queue.order is QueueOrder.FIFO]
    for start in range(0, len(fifo), MAX_ARMS):
        _read_fifo(unit, fifo[start : start + MAX_ARMS])
    for line in lines:
        if line.queue.order is QueueOrder.FAIR:
            _read_fair(unit, line)


def _read_fifo(unit: Unit, lines: Sequence[Line]) -> None:
    arms, parameters = [], []
    for index, line in enumerate(lines):
        arms.append(_OF_ANY if line.tenant is None else _OF_TENANT)
        tenant = () if line.tenant is None else (kept(line.tenant),)
        parameters += [index, kept(line.queue.name), *tenant, line.demand]
    for index, *turn in unit.sets.all(" UNION ALL ".join(arms), parameters):
        lines[index].turns.append(Turn(*turn))


def _read_fair(unit: Unit, line: Line) -> None:
    tenant = None if line.tenant is None else kept(line.tenant)
    name = kept(line.queue.name)
    found = fair_turns(unit.sets, name, tenant, line.last_served, line.demand)
    line.turns = [Turn(*turn) for turn in found]
