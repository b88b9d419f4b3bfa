"""Lists of jobs as SQL: where to go on after a page, in any order, by seeking and never by counting rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from jobyard_server.domain.fields import INT64_MAX
from jobyard_server.domain.filter import All, Comparison, Op
from jobyard_server.domain.reason import Reason, Violation, refuse
from jobyard_server.store.conditions import Conditions
from jobyard_server.store.expressions import Term, api_condition, standing_term, term
from jobyard_server.store.rows import JOB_COLUMNS, kept
from jobyard_server.usecases.ports import Order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from jobyard_server.domain.fields import ApiFields, Kind
    from jobyard_server.domain.filter import Expression
    from jobyard_server.domain.job import Attribute
    from jobyard_server.store.dialect import Dialect
    from jobyard_server.usecases.ports import JobQuery

    Key: TypeAlias = tuple[Order, Term]

_COLUMNS: Final = ", ".join(f"jobs.{name}" for name in JOB_COLUMNS)
_SELECT: Final = f"SELECT {_COLUMNS} FROM jobs"
_SEEKING: Final = frozenset({Op.EQ, Op.IN, Op.LT, Op.LE, Op.GT, Op.GE})


@dataclass(frozen=True, slots=True)
class Statement:
    """One query and its parameters."""

    sql: str
    parameters: tuple[Any, ...]


def job_statements(ref: str | int, api: str | None, tenant: str | None) -> list[Statement]:
    """The queries that find a job by what a caller calls it; the first one with a row says."""
    scope = ""
    values: list[str] = []
    for column, value in (("api", api), ("tenant", None if tenant is None else kept(tenant))):
        if value is not None:
            scope += f" AND {column} = ?"
            values.append(value)
    if isinstance(ref, int):
        return [Statement(f"{_SELECT} WHERE number = ?{scope}", (ref, *values))] if abs(ref) <= INT64_MAX else []
    by_uid = Statement(f"{_SELECT} WHERE uid = ?{scope}", (kept(ref), *values))
    if api is None:
        return [by_uid]
    newest = " ORDER BY number DESC LIMIT 1"
    return [Statement(f"{_SELECT} WHERE external_id = ?{scope}{newest}", (kept(ref), *values)), by_uid]


@dataclass(frozen=True, slots=True)
class _Way:
    """What jobs are read from."""

    tables: str
    term: Callable[[str, Mapping[str, Kind], Dialect], Term | None]
    """What a name is there."""
    of: str = ""
    """Stands before the columns that lead to the jobs."""
    conditions: tuple[str, ...] = ()


_BY_JOBS: Final = _Way("jobs", term)
# What both tables know is asked of the first one alone: a planner that has counted nothing yet might take what the jobs
# of a tenant share for a quicker way to one than its number. The sum keeps it from walking both tables side by side.
_BY_STANDINGS: Final = _Way(
    "standings CROSS JOIN jobs", standing_term, "standings.", ("jobs.number = standings.number + 0",)
)


class JobQueries:
    """Writes the queries over jobs, with the fields that each API declared."""

    def __init__(self, fields: Mapping[str, ApiFields], dialect: Dialect) -> None:
        self._fields = fields
        self._dialect = dialect
        self.standing = frozenset(api for api, own in fields.items() if own.standing)
        """APIs with indexes over where their jobs stand."""

    def pages(self, query: JobQuery) -> list[Statement]:
        """The queries whose rows, one query after the other and cut at the limit, are the page.

        Behind the row with the values (a, b, n) come those with (a, b, > n), then (a, > b), then (> a): each of them
        is one seek into the index of its order, also where directions are mixed and where many rows share a value.
        """
        way = self._way(query)
        keys = self._keys(query, way)
        select = f"SELECT {_COLUMNS} FROM {way.tables}"
        if query.after is None:
            offset = f" OFFSET {query.offset:d}" if query.offset else ""
            return [self._conditions(query, way).statement(select, _tail(keys, query.limit) + offset)]
        if len(query.after) != len(keys):
            raise ValueError("a page needs a value for every key of its order")
        statements = []
        for depth in range(len(keys) - 1, -1, -1):
            conditions = self._conditions(query, way)
            conditions.beyond(keys, query.after, depth)
            # The keys before are the same in all these rows; sorting by them would miss the index.
            statements.append(conditions.statement(select, _tail(keys[depth:], query.limit)))
        return statements

    def count(self, query: JobQuery) -> Statement:
        """How many jobs there are, the place of the page ignored."""
        way = self._way(query)
        return self._conditions(query, way).statement(f"SELECT count(*) FROM {way.tables}")

    def _way(self, query: JobQuery) -> _Way:
        """By where jobs stand if an index over that leads to the page, and nothing else leads to fewer jobs."""
        own = self._fields.get(query.api) if query.api is not None else None
        if own is None or not own.standing:
            return _BY_JOBS
        parts = list(_all_of(query.where))
        if any(part.field in own.finders and part.op is Op.EQ for part in parts):
            return _BY_JOBS
        sought = {part.field for part in parts if part.op in _SEEKING} | {key.field for key in query.order[:1]}
        return _BY_JOBS if own.standing.isdisjoint(sought) else _BY_STANDINGS

    def _attributes(self, query: JobQuery) -> Mapping[str, Kind]:
        own = self._fields.get(query.api) if query.api is not None else None
        return own.attributes if own is not None else {}

    def _conditions(self, query: JobQuery, way: _Way) -> _Where:
        where = _Where(Conditions(self._attributes(query), self._dialect, term=way.term), list(way.conditions))
        if query.api is not None:
            where.parts.append(way.of + api_condition(query.api))
        if query.tenant is not None:
            where.add(f"{way.of}tenant = ?", kept(query.tenant))
        if query.where is not None:
            where.parts.append(where.conditions.sql(query.where))
        if query.at_most_number is not None:
            # The sum keeps this bound, which nearly every row meets, from choosing the index.
            where.add(f"{way.of}number + 0 <= ?", query.at_most_number)
        return where

    def _keys(self, query: JobQuery, way: _Way) -> list[Key]:
        attributes = self._attributes(query)
        order = query.order or (Order("number", descending=True),)
        if all(key.field != "number" for key in order):
            order = (*order, Order("number", descending=order[-1].descending))
        keys = []
        for key in order:
            found = way.term(key.field, attributes, self._dialect)
            if found is None:
                problem = f"{key.field} is not a field of these jobs"
                raise refuse(Reason.INVALID_ORDER, f"order: {problem}", Violation("order_by", problem), field=key.field)
            keys.append((key, found))
        return keys


class _Where:
    """The conditions of one query, with their parameters in order."""

    def __init__(self, conditions: Conditions, parts: list[str]) -> None:
        self.conditions = conditions
        self.parts = parts

    def add(self, sql: str, *values: Any) -> None:
        self.parts.append(sql)
        self.conditions.parameters.extend(values)

    def beyond(self, keys: Sequence[Key], after: Sequence[Attribute], depth: int) -> None:
        """Rows that are equal in the first ``depth`` keys and come later in the next one."""
        for (_, found), value in zip(keys[:depth], after, strict=False):
            self.add(f"{found.sql} = ?", _place(found, value))
        key, found = keys[depth]
        self.add(f"{found.sql} {'<' if key.descending else '>'} ?", _place(found, after[depth]))

    def statement(self, select: str, tail: str = "") -> Statement:
        where = f" WHERE {' AND '.join(self.parts)}" if self.parts else ""
        return Statement(f"{select}{where}{tail}", tuple(self.conditions.parameters))


def _all_of(where: Expression | None) -> Iterator[Comparison]:
    """The comparisons that hold for every row of a condition."""
    match where:
        case All(parts):
            for part in parts:
                yield from _all_of(part)
        case Comparison():
            yield where


def _tail(keys: Sequence[Key], limit: int) -> str:
    order = ", ".join(f"{found.sql} {'DESC' if key.descending else 'ASC'}" for key, found in keys)
    return f" ORDER BY {order} LIMIT {limit:d}"


def _place(found: Term, value: Attribute) -> str | int:
    """The value of a row that was seen, as its order has it."""
    if value is None:
        return found.missing
    return kept(value) if isinstance(value, str) else value
