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
from jobyard_server.store.standings import FILL

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from jobyard_server.domain.fields import ApiFields
    from jobyard_server.store.dialect import Dialect

_FIRST_RESULT: Final = "(SELECT result FROM subjobs WHERE subjobs.job = jobs.number AND subjobs.ordinal = 0)"
_ELAPSED_MILLIS: Final = "(finished_at / 1000 - created_at / 1000)"
_STANDING: Final = MOVING | {"number", "api", "tenant"}
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


def index_statements(fields: Mapping[str, ApiFields], dialect: Dialect, there: Container[str]) -> list[str]:
    """What makes the indexes that the APIs need over their jobs and that are not ``there``; looked at with every start.

    There is no index over ``(api, tenant, number)``: it would look as good as those over attributes, which are better.
    Those over columns that change are over where the jobs stand, which is written here for jobs that are older than it.
    """
    made = []
    for api, own in sorted(fields.items()):
        where = api_condition(api)
        indexes = {f"ix_jobs_of_{api}": "jobs (tenant, number)"}
        for name in own.indexed:
            found = term(name, own.attributes, dialect)
            assert found is not None, name
            table = "standings" if name in own.standing else "jobs"
            indexes[f"ix_{table}_of_{api}_{name}"] = f"{table} (tenant, {found.sql}, number)"
        missing = [name for name in indexes if name not in there]
        if any(name.startswith("ix_standings") for name in missing):
            made.append(FILL.format(where=where))
        made += [f"CREATE INDEX IF NOT EXISTS {name} ON {indexes[name]} WHERE {where}" for name in missing]
    return made
