"""How many subjobs of a queue may be handed out now: caps and rates of the queue, and of each tenant on it.

Only queues that have a cap or a rate are looked at here; all others cost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from jobyard_server.store.rows import MICROS, kept
from jobyard_server.store.tables import READY, RUNNING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from jobyard_server.domain.catalog import Queue, Rate
    from jobyard_server.domain.job import Micros
    from jobyard_server.store.sets import Sets
    from jobyard_server.store.unit import Unit

MAX_ARMS: Final = 100
"""Parts of one compound statement; SQLite takes at most 500."""
MAX_TENANTS: Final = 500
"""Tenants of one queue that are looked at together; the next look begins behind the one served last."""

_BUSY: Final = f"SELECT ?, '', count(*) FROM (SELECT 1 FROM subjobs WHERE queue = ? AND {RUNNING} LIMIT ?) AS busy"
_BUSY_TENANT: Final = (
    f"SELECT ?, ?, count(*) FROM (SELECT 1 FROM subjobs WHERE queue = ? AND tenant = ? AND {RUNNING} LIMIT ?) AS busy"
)
_NEXT_TENANT: Final = f"SELECT min(tenant) FROM subjobs WHERE queue = ? AND {READY} AND tenant"
# Each step of the recursion is one seek in the index, however many subjobs a tenant has waiting.
_TENANTS: Final = (
    f"WITH RECURSIVE waiting(t) AS (SELECT ({_NEXT_TENANT} > ?) UNION ALL "
    f"SELECT ({_NEXT_TENANT} > t) FROM waiting WHERE t IS NOT NULL) "
    "SELECT t FROM waiting WHERE t IS NOT NULL LIMIT ?"
)
_USED: Final = (
    "SELECT l.queue, l.tenant, l.used_until FROM given CROSS JOIN lanes AS l "
    "WHERE l.queue = given.queue AND l.tenant = given.tenant"
)
_ALONE: Final = "SELECT 1 FROM queues WHERE name IN (SELECT name FROM given) ORDER BY name FOR UPDATE"
_LANE: Final = ("queue", "tenant", "used_until")
_USE: Final = "ON CONFLICT (queue, tenant) DO UPDATE SET used_until = excluded.used_until"

Place = tuple[str, str]
"""A queue and a tenant on it, both as they are stored; no tenant for the queue as a whole."""


@dataclass(slots=True)
class Room:
    """How many more subjobs of one queue may be handed out; shared by all lines of the queue."""

    left: int | None = None
    tenants: dict[str, int] | None = None
    """The same by tenant, where tenants are limited."""
    again_at: Micros | None = None
    """When a rate lets out more."""

    def limit(self, left: int) -> None:
        """Let no more than this out."""
        self.left = left if self.left is None else min(self.left, left)

    def limit_tenant(self, tenant: str, left: int) -> None:
        """Let no more than this of one tenant out."""
        if self.tenants is None:
            self.tenants = {}
        self.tenants[tenant] = min(self.tenants.get(tenant, left), left)

    def wait_until(self, at: Micros) -> None:
        """Nothing comes out for a rate before that."""
        self.again_at = at if self.again_at is None else min(self.again_at, at)

    def takes(self, tenant: str) -> bool:
        """Let one out, if there is room for it."""
        if self.left == 0 or (self.tenants is not None and not self.tenants.get(tenant)):
            return False
        if self.left is not None:
            self.left -= 1
        if self.tenants is not None:
            self.tenants[tenant] -= 1
        return True


@dataclass(slots=True)
class Looked:
    """A queue that has limits, and who is looked at on it."""

    queue: Queue
    room: Room
    tenants: set[str] = field(default_factory=set)
    everybody: bool = False
    last_served: str = ""


def limits_tenants(queue: Queue) -> bool:
    """Whether each tenant on a queue has a limit of its own."""
    return queue.max_running_per_tenant > 0 or queue.tenant_rate.per_second > 0


def limited(queue: Queue) -> bool:
    """Whether a queue limits anything."""
    return queue.max_running > 0 or queue.rate.per_second > 0 or limits_tenants(queue)


def read_rooms(unit: Unit, looked: Sequence[Looked]) -> None:
    """Find out how much room there is."""
    if unit.sets.dialect.concurrent and looked:
        # Whoever counts what runs is alone with the queue until he has added what he leases.
        unit.sets.among(("name",), sorted((kept(one.queue.name),) for one in looked), _ALONE)
    for one in looked:
        if limits_tenants(one.queue) and one.everybody:
            one.tenants.update(_waiting(unit.sets, one))
    _count_running(unit.sets, looked)
    _read_rates(unit, looked)


def _waiting(sets: Sets, one: Looked) -> list[str]:
    """Tenants that wait on a queue, those behind the one served last first."""
    name, last = kept(one.queue.name), one.last_served
    found = [tenant for (tenant,) in sets.all(_TENANTS, (name, last, name, MAX_TENANTS))]
    if last and len(found) < MAX_TENANTS:
        found += [tenant for (tenant,) in sets.all(_TENANTS, (name, "", name, MAX_TENANTS - len(found)))]
    return found


def _count_running(sets: Sets, looked: Sequence[Looked]) -> None:
    """Count what runs, never beyond a cap."""
    arms: list[tuple[str, tuple[Any, ...]]] = []
    rooms = {kept(one.queue.name): one for one in looked}
    for name, one in rooms.items():
        if cap := one.queue.max_running:
            arms.append((_BUSY, (name, name, cap)))
        if cap := one.queue.max_running_per_tenant:
            arms += [(_BUSY_TENANT, (name, tenant, name, tenant, cap)) for tenant in sorted(one.tenants)]
    for start in range(0, len(arms), MAX_ARMS):
        part = arms[start : start + MAX_ARMS]
        parameters = [value for _, values in part for value in values]
        for name, tenant, busy in sets.all(" UNION ALL ".join(arm for arm, _ in part), parameters):
            one = rooms[name]
            if tenant:
                one.room.limit_tenant(tenant, one.queue.max_running_per_tenant - busy)
            else:
                one.room.limit(one.queue.max_running - busy)


def _read_rates(unit: Unit, looked: Sequence[Looked]) -> None:
    places = {place: rate for one in looked for place, rate in _rates(one, one.tenants)}
    used = _used(unit.sets, places)
    rooms = {kept(one.queue.name): one.room for one in looked}
    for (name, tenant), rate in places.items():
        left, again_at = _allowance(rate, used.get((name, tenant), 0), unit.now)
        room = rooms[name]
        if tenant:
            room.limit_tenant(tenant, left)
        else:
            room.limit(left)
        if not left:
            room.wait_until(again_at)


def _rates(one: Looked, tenants: Collection[str]) -> list[tuple[Place, Rate]]:
    """Where a queue has rates."""
    name, found = kept(one.queue.name), []
    if one.queue.rate.per_second:
        found.append(((name, ""), one.queue.rate))
    if one.queue.tenant_rate.per_second:
        found += [((name, tenant), one.queue.tenant_rate) for tenant in sorted(tenants)]
    return found


def _used(sets: Sets, places: Mapping[Place, Rate]) -> dict[Place, Micros]:
    rows = sets.among(("queue", "tenant"), sorted(places), _USED)
    return {(name, tenant): used_until for name, tenant, used_until in rows}


def _begin(rate: Rate, used_until: Micros, now: Micros) -> Micros:
    """From when on the rate is free."""
    # Further ahead it lies only when the clock was set back, and then it means nothing.
    plausible = used_until <= now + rate.burst * MICROS / rate.per_second + 1
    return max(now, used_until) if plausible else now


def _allowance(rate: Rate, used_until: Micros, now: Micros) -> tuple[int, Micros]:
    """How many a rate lets out now, and when it lets out the next one if it is none."""
    interval = MICROS / rate.per_second
    begin = _begin(rate, used_until, now)
    left = int((now + rate.burst * interval - begin + 1) // interval)
    return min(left, rate.burst), begin - round((rate.burst - 1) * interval)


def use(unit: Unit, looked: Sequence[Looked], taken: Mapping[str, Mapping[str, int]]) -> None:
    """Write down what was handed out where there are rates: by queue and tenant, as they are stored."""
    rows = []
    for one in looked:
        name = kept(one.queue.name)
        own = taken.get(name, {})
        places = dict(_rates(one, [tenant for tenant in own if tenant]))
        used = _used(unit.sets, places)
        for (_, tenant), rate in places.items():
            count = own.get(tenant, 0) if tenant else sum(own.values())
            if count:
                begin = _begin(rate, used.get((name, tenant), 0), unit.now)
                rows.append((name, tenant, begin + round(count * MICROS / rate.per_second)))
    unit.sets.insert("lanes", _LANE, sorted(rows), _USE)
