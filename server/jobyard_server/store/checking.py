"""Looks whether a database is whole: its schema, its file, and whether its rows fit together. Changes nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from jobyard_server.domain.fields import MOVING
from jobyard_server.store.dialect import POSTGRESQL
from jobyard_server.store.schema import TABLES, newest_revision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobyard_server.store.database import Database
    from jobyard_server.store.sets import Sets

MOST: Final = 10
"""So many rows of a kind of damage are named."""

_OWNED: Final = (
    ("subjobs", "id", "job", "jobs", "number"),
    ("attempts", "subjob", "subjob", "subjobs", "id"),
    ("log_chunks", "subjob", "subjob", "subjobs", "id"),
    ("request_keys", "key", "job", "jobs", "number"),
    ("schedules", "job", "job", "jobs", "number"),
    ("fires", "job", "job", "jobs", "number"),
    ("standings", "number", "number", "jobs", "number"),
    ("blob_chunks", "blob", "blob", "blobs", "id"),
)
"""(table, what its rows are named by, its column, the table and the column that column points to)."""

_LIVE: Final = ("pending", "running", "suspended", "cancelling")
"""States whose subjobs are all kept, so that the counters of their job must be right."""

_GAPS: Final = (
    f"SELECT job FROM events GROUP BY job HAVING max(job_seq) - min(job_seq) + 1 <> count(*) ORDER BY job LIMIT {MOST}"
)

_PARENT: Final = "CASE WHEN j.finished_at IS NULL THEN j.parent END"
MISPLACED: Final = (
    "SELECT j.number FROM jobs AS j LEFT JOIN standings AS s ON s.number = j.number "
    f"WHERE coalesce(s.live_parent, 0) <> coalesce({_PARENT}, 0) "
    "OR coalesce(s.removal_at, 0) <> coalesce(j.expires_at, 0) "
    "OR s.state_word <> j.state_word OR s.updated_at <> j.updated_at "
    f"ORDER BY j.number LIMIT {MOST}"
)
"""Jobs that are looked for where they do not stand."""
_ABSENT: Final = (
    "SELECT j.number FROM jobs AS j LEFT JOIN standings AS s ON s.number = j.number "
    f"WHERE j.api = ? AND s.number IS NULL ORDER BY j.number LIMIT {MOST}"
)
_OF_API: Final = re.compile(rf"ix_standings_of_(\w+)_(?:{'|'.join(sorted(MOVING))})")
"""The indexes by which an API lists its jobs: each of them has to stand there."""


@dataclass(frozen=True, slots=True)
class Report:
    """How a database is."""

    revision: str
    """Of its schema; empty where it has none."""
    newest: str
    """The revision this program works with."""
    rows: Mapping[str, int]
    """By table."""
    damage: Sequence[str]
    """What does not fit together, one sentence each."""


def check(database: Database) -> Report:
    """Look at everything; servers may go on meanwhile, for all is read at one moment."""
    return database.read(_check)


def _check(sets: Sets) -> Report:
    if sets.dialect is POSTGRESQL:
        # All rows are read, which no request would be given the time for.
        sets.run("SET LOCAL statement_timeout = 0")
    newest = newest_revision()
    revision = _revision(sets)
    if revision != newest:
        return Report(revision, newest, {}, ())
    rows = {name: int(sets.all(f"SELECT count(*) FROM {name}")[0][0]) for name in sorted(TABLES)}
    damage = [*_file(sets), *_orphans(sets), *_miscounted(sets), *_misplaced(sets), *_gaps(sets)]
    return Report(revision, newest, rows, damage)


def _revision(sets: Sets) -> str:
    catalog = "pg_tables WHERE tablename" if sets.dialect is POSTGRESQL else "sqlite_master WHERE name"
    if not sets.all(f"SELECT 1 FROM {catalog} = 'alembic_version'"):
        return ""
    found = sets.all("SELECT version_num FROM alembic_version")
    return str(found[0][0]) if found else ""


def _file(sets: Sets) -> list[str]:
    if sets.dialect is POSTGRESQL:
        return []
    said = [str(row[0]) for row in sets.all(f"PRAGMA quick_check({MOST:d})")]
    return [] if said == ["ok"] else [f"the file is damaged: {word}" for word in said]


def _orphans(sets: Sets) -> list[str]:
    found = []
    for table, name, column, owner, key in _OWNED:
        lost = sets.all(
            f"SELECT DISTINCT o.{name} FROM {table} AS o LEFT JOIN {owner} AS w ON w.{key} = o.{column} "
            f"WHERE w.{key} IS NULL ORDER BY 1 LIMIT {MOST}"
        )
        found += [f"{table}: what belongs to {name} {row[0]} has no row in {owner}" for row in lost]
    return found


def _miscounted(sets: Sets) -> list[str]:
    counts = ", ".join(f"count(CASE WHEN state = '{state.upper()}' THEN 1 END) AS {state}" for state in _LIVE)
    wrong = " OR ".join(f"j.n_{state} <> coalesce(c.{state}, 0)" for state in _LIVE)
    lost = sets.all(
        f"SELECT j.number FROM jobs AS j LEFT JOIN (SELECT job, {counts} FROM subjobs GROUP BY job) AS c "
        f"ON c.job = j.number WHERE {wrong} ORDER BY j.number LIMIT {MOST}"
    )
    return [f"jobs: the counters of job {row[0]} are not those of its subjobs" for row in lost]


def _misplaced(sets: Sets) -> list[str]:
    found = {row[0] for row in sets.all(MISPLACED)}
    for api in {of[1] for (name,) in sets.all(sets.dialect.indexes) if (of := _OF_API.fullmatch(name))}:
        found.update(row[0] for row in sets.all(_ABSENT, (api,)))
    return [f"standings: job {number} does not stand there as it is" for number in sorted(found)[:MOST]]


def _gaps(sets: Sets) -> list[str]:
    return [f"events: some of job {row[0]} are missing between others" for row in sets.all(_GAPS)]
