"""Which ready subjobs are next on a set of queues: their settings and their order."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from jobyard_server.domain.catalog import Queue, QueueOrder, QueueStatus
from jobyard_server.store.fair import fair_turns
from jobyard_server.store.rooms import MAX_ARMS, Looked, Room, limited, read_rooms
from jobyard_server.store.rows import kept
from jobyard_server.store.rows_catalog import QUEUE_COLUMNS
from jobyard_server.store.rows_catalog import queue as queue_of
from jobyard_server.store.tables import READY_IN_LINE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jobyard_server.domain.job import Micros
    from jobyard_server.store.unit import Unit

_COLUMNS: Final = (*QUEUE_COLUMNS, "last_served")
_QUEUES: Final = (
    f"SELECT {', '.join('q.' + name for name in _COLUMNS)} FROM given CROSS JOIN queues AS q WHERE q.name = given.name"
)
_CAPPED: Final = (
    "SELECT q.name FROM given CROSS JOIN queues AS q "
    "WHERE q.name = given.name AND (q.max_running > 0 OR q.max_running_per_tenant > 0)"
)
_ORDER: Final = "ORDER BY s.priority DESC, s.job, s.id LIMIT ?"
_OF_ANY: Final = (
    "SELECT ? AS line, s.priority, s.job, s.id, s.fair_key FROM {turns} "
    f"WHERE s.queue = ? AND {READY_IN_LINE} {_ORDER}"
)
_OF_TENANT: Final = (
    "SELECT ? AS line, s.priority, s.job, s.id, s.fair_key FROM {turns} "
    f"WHERE s.queue = ? AND {READY_IN_LINE} AND s.tenant = ? {_ORDER}"
)


@dataclass(frozen=True, slots=True)
class Turn:
    """A ready subjob at its place in its line."""

    priority: int
    job: int
    subjob: int
    fair_key: str
    tenant: str = ""
    """As it is stored; only where tenants are limited."""


@dataclass(slots=True)
class Line:
    """A queue as workers of one tenant, or of any, see it."""

    queue: Queue
    tenant: str | None
    last_served: str
    room: Room
    demand: int = 0
    turns: list[Turn] = field(default_factory=list)


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
    read_rooms(unit, limited_queues(found))
    for line in found:
        if line.room.left is not None:
            line.demand = min(line.demand, line.room.left)
    _read_turns(unit, [line for line in found if line.demand > 0])
    return lines


def _read_queues(unit: Unit, names: Sequence[str]) -> dict[str, tuple[Queue, str]]:
    rows = unit.sets.among(("name",), [(kept(name),) for name in names], _QUEUES)
    found = [(queue_of(row), row[-1]) for row in rows]
    return {queue.name: (queue, last_served) for queue, last_served in found}


def limited_queues(lines: Iterable[Line]) -> list[Looked]:
    """The queues of lines that limit what is handed out."""
    looked: dict[str, Looked] = {}
    for line in lines:
        if not limited(line.queue):
            continue
        one = looked.setdefault(line.queue.name, Looked(line.queue, line.room))
        if line.tenant is None:
            one.everybody = True
        else:
            one.tenants.add(kept(line.tenant))
        if line.queue.order is QueueOrder.FIFO:
            one.last_served = line.last_served
    return list(looked.values())


def _read_turns(unit: Unit, lines: Sequence[Line]) -> None:
    """Read turns; where tenants are limited, of each no more than it has room for."""
    arms: list[tuple[Line, str | None, int]] = []
    for line in lines:
        for tenant, most in _shares(line):
            if line.queue.order is QueueOrder.FAIR:
                found = fair_turns(unit.sets, kept(line.queue.name), tenant, line.last_served, most)
                line.turns += [Turn(*turn, tenant=_tenant_of(line, tenant)) for turn in found]
            else:
                arms.append((line, tenant, most))
    for start in range(0, len(arms), MAX_ARMS):
        _read_fifo(unit, arms[start : start + MAX_ARMS])
    for line in lines:
        if line.room.tenants is not None:
            line.turns = _merged(line)


def _shares(line: Line) -> list[tuple[str | None, int]]:
    """(tenant as it is stored, most turns) of a line; one share where tenants are not limited."""
    tenants = line.room.tenants
    own = None if line.tenant is None else kept(line.tenant)
    if tenants is None:
        return [(own, line.demand)]
    seen = tenants if own is None else {own: tenants[own]}
    return [(tenant, min(left, line.demand)) for tenant, left in seen.items() if left > 0]


def _tenant_of(line: Line, tenant: str | None) -> str:
    return tenant or "" if line.room.tenants is not None else ""


def _read_fifo(unit: Unit, arms: Sequence[tuple[Line, str | None, int]]) -> None:
    dialect = unit.sets.dialect
    parts, parameters = [], []
    for index, (line, tenant, most) in enumerate(arms):
        part = (_OF_ANY if tenant is None else _OF_TENANT).format(turns=dialect.turns)
        parts.append(f"SELECT * FROM ({dialect.leasing(part)}) AS turn")
        parameters += [index, kept(line.queue.name), *(() if tenant is None else (tenant,)), most]
    for index, priority, job, subjob, fair_key in unit.sets.all(" UNION ALL ".join(parts), parameters):
        line, tenant, _ = arms[index]
        line.turns.append(Turn(priority, job, subjob, fair_key, _tenant_of(line, tenant)))


def _merged(line: Line) -> list[Turn]:
    """The turns of tenants in one line: by the order of the queue, or on a fair one by turns of the tenants."""
    if line.queue.order is QueueOrder.FIFO:
        return sorted(line.turns, key=lambda turn: (-turn.priority, turn.job, turn.subjob))
    place: dict[tuple[str, int], int] = {}
    ranked = []
    for turn in line.turns:
        rank = place[turn.tenant, turn.priority] = place.get((turn.tenant, turn.priority), 0) + 1
        behind = turn.fair_key <= line.last_served
        ranked.append((-turn.priority, rank, behind, turn.fair_key, turn.job, turn.subjob, turn))
    return [entry[-1] for entry in sorted(ranked, key=lambda entry: entry[:-1])]
