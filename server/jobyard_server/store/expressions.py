"""What the fields of a job are in SQL, and the indexes over them.

An index over an expression is used only where a query spells the very same expression, so both are made here.
Expressions over declared fields are never NULL: rows without a value sort first, in every database.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from jobyard_server.domain.fields import (
    DEFINITION_COLUMNS,
    ELAPSED_MILLIS,
    FIRST_RESULT,
    INT64_MIN,
    JOB_COLUMNS,
    MOVING,
    NULLABLE,
    RECORD_COLUMNS,
    Kind,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobyard_server.domain.fields import ApiFields
    from jobyard_server.store.dialect import Dialect

_FIRST_RESULT: Final = "(SELECT result FROM subjobs WHERE subjobs.job = jobs.number AND subjobs.ordinal = 0)"
_ELAPSED_MILLIS: Final = "(finished_at / 1000 - created_at / 1000)"
_STANDING: Final = MOVING | {"number", "api", "tenant"}
_STAND: Final = (
    "INSERT INTO standings (number, api, tenant, state_word, updated_at, live_parent, removal_at) "
    "SELECT number, api, tenant, state_word, updated_at, CASE WHEN finished_at IS NULL THEN parent END, expires_at "
    "FROM jobs WHERE {where} AND NOT EXISTS (SELECT 1 FROM standings WHERE {where}) ON CONFLICT (number) DO NOTHING"
)
_API: Final = re.compile(r"[a-z][a-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class Term:
    """A field in SQL."""

    sql: str
    """Never NULL: ``missing`` stands for no value."""
    number: bool
    """Whether it holds integers; text otherwise."""
    source: str | None = None
    """The same with NULL for no value; ``None`` when there is always one."""

    @property
    def missing(self) -> str | int:
        """What stands for no value: nothing sorts before it."""
        return INT64_MIN if self.number else ""


def definition_term(name: str, attributes: Mapping[str, Kind], dialect: Dialect) -> Term | None:
    """The same of definitions."""
    if name in DEFINITION_COLUMNS:
        return Term(name, number=DEFINITION_COLUMNS[name] is not Kind.TEXT)
    return _attribute(name, attributes, dialect)


def record_term(name: str, _attributes: Mapping[str, Kind], _dialect: Dialect) -> Term | None:
    """The same of records, which have no attributes to ask for."""
    return Term(name, number=RECORD_COLUMNS[name] is not Kind.TEXT) if name in RECORD_COLUMNS else None


def term(name: str, attributes: Mapping[str, Kind], dialect: Dialect) -> Term | None:
    """The column or attribute of a name; ``None`` when there is none."""
    if name in JOB_COLUMNS:
        number = JOB_COLUMNS[name] is not Kind.TEXT
        return _present(name, number=number) if name in NULLABLE else Term(name, number)
    if name == FIRST_RESULT:
        return _present(_FIRST_RESULT, number=False)
    if name == ELAPSED_MILLIS:
        return _present(_ELAPSED_MILLIS, number=True)
    return _attribute(name, attributes, dialect)


def standing_term(name: str, attributes: Mapping[str, Kind], dialect: Dialect) -> Term | None:
    """The same where jobs are read with where they stand."""
    if name in _STANDING:
        return Term(f"standings.{name}", number=JOB_COLUMNS[name] is not Kind.TEXT)
    return term(name, attributes, dialect)


def _attribute(name: str, attributes: Mapping[str, Kind], dialect: Dialect) -> Term | None:
    if name not in attributes:
        return None
    number = attributes[name] is Kind.INT
    return _present(dialect.attribute(name, number=number), number=number)


def _present(source: str, *, number: bool) -> Term:
    missing = str(INT64_MIN) if number else "''"
    return Term(f"coalesce({source}, {missing})", number, source)


def api_condition(api: str) -> str:
    """The jobs of an API. Spelled out, because a bound parameter does not select a partial index."""
    if not _API.match(api):
        raise ValueError(f"not the name of an API: {api!r}")
    return f"api = '{api}'"


def index_statements(fields: Mapping[str, ApiFields], dialect: Dialect) -> list[str]:
    """The indexes that the APIs need over their jobs; made again at every start, where they are missing.

    There is no index over ``(api, tenant, number)``: it would look as good as those over attributes, which are better.
    Those over columns that change are over the rows in :mod:`jobyard_server.store.standings`, which are made here for
    the jobs of an API that had no such index yet.
    """
    made = []
    for api, own in sorted(fields.items()):
        where = api_condition(api)
        made.append(f"CREATE INDEX IF NOT EXISTS ix_jobs_of_{api} ON jobs (tenant, number) WHERE {where}")
        for name in own.indexed:
            found = term(name, own.attributes, dialect)
            assert found is not None, name
            table = "standings" if name in own.standing else "jobs"
            made.append(
                f"CREATE INDEX IF NOT EXISTS ix_{table}_of_{api}_{name} ON {table} (tenant, {found.sql}, number) "
                f"WHERE {where}"
            )
        if own.standing:
            made.append(_STAND.format(where=where))
    return made
