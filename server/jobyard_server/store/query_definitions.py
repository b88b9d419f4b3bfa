"""Lists of definitions, and of records, of one kind as SQL: filtered, sorted, counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobyard_server.domain.reason import Reason, Violation, refuse
from jobyard_server.store.conditions import Conditions
from jobyard_server.store.expressions import definition_term, record_term
from jobyard_server.store.query import Statement
from jobyard_server.store.rows import kept
from jobyard_server.store.rows_catalog import DEFINITION_COLUMNS, RECORD_COLUMNS

if TYPE_CHECKING:
    from jobyard_server.store.dialect import Dialect
    from jobyard_server.usecases.ports import DefinitionQuery, Order, RecordQuery

_SELECT: Final = f"SELECT {', '.join(DEFINITION_COLUMNS)} FROM definitions"


def page(query: DefinitionQuery, dialect: Dialect) -> Statement:
    """The definitions that a query names."""
    keys = [_key(query, key, dialect) for key in query.order] + ["id ASC"]
    tail = f" ORDER BY {', '.join(keys)} LIMIT {query.limit:d} OFFSET {query.offset:d}"
    return _statement(query, dialect, _SELECT, tail)


def count(query: DefinitionQuery, dialect: Dialect) -> Statement:
    """How many there are, the paging ignored."""
    return _statement(query, dialect, "SELECT count(*) FROM definitions", "")


def records(query: RecordQuery, dialect: Dialect) -> Statement:
    """The records that a query names."""
    conditions = Conditions({}, dialect, term=record_term)
    select = f"SELECT {', '.join(RECORD_COLUMNS)} FROM records WHERE {_where(query, conditions)}"
    order = ", ".join(f"{name}{' DESC' if query.descending else ''}" for name in ("created_at", "tenant", "id"))
    sql = f"{select} ORDER BY {order} LIMIT {query.limit:d}"
    return Statement(sql, tuple(conditions.parameters))


def _statement(query: DefinitionQuery, dialect: Dialect, select: str, tail: str) -> Statement:
    conditions = Conditions(query.attributes, dialect, term=definition_term)
    return Statement(f"{select} WHERE {_where(query, conditions)}{tail}", tuple(conditions.parameters))


def _where(query: DefinitionQuery | RecordQuery, conditions: Conditions) -> str:
    parts = ["api = ?", "kind = ?"]
    conditions.parameters.extend((query.api, kept(query.kind)))
    if query.tenant is not None:
        parts.append("tenant = ?")
        conditions.parameters.append(kept(query.tenant))
    if query.where is not None:
        parts.append(conditions.sql(query.where))
    return " AND ".join(parts)


def _key(query: DefinitionQuery, key: Order, dialect: Dialect) -> str:
    found = definition_term(key.field, query.attributes, dialect)
    if found is None:
        problem = f"{key.field} is not a field of these definitions"
        raise refuse(Reason.INVALID_ORDER, f"order: {problem}", Violation("order_by", problem))
    return f"{found.sql} {'DESC' if key.descending else 'ASC'}"
