"""What a database says differently in SQL. Nothing above the store knows which one it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from typing_extensions import override


@dataclass(frozen=True)
class Dialect:
    """The words of SQLite, and what other databases have others for."""

    name: str = "sqlite"
    concurrent: bool = False
    """Whether others write while a transaction goes on, so that it has to lock what it decides by."""
    turns: str = "subjobs AS s"
    """Subjobs in their line. Where others lease beside, with their jobs, which are locked by who leases them."""
    label: str = "EXISTS (SELECT 1 FROM json_each(jobs.labels) WHERE key = ? AND {holds})"
    """A label of a job that satisfies a condition."""

    indexes: str = "SELECT name FROM sqlite_master WHERE type = 'index'"
    """The names of all indexes."""

    def attribute(self, name: str, *, number: bool) -> str:  # noqa: ARG002 - typed by itself here
        """An attribute of a job; NULL where there is none."""
        return f"json_extract(attributes, '$.{name}')"

    def contains(self, sql: str) -> str:
        """Whether a text contains a parameter."""
        return f"instr({sql}, ?) > 0"

    def lower(self, sql: str) -> str:
        """A text with its ASCII letters in lower case, and all others as they are."""
        return f"lower({sql})"

    def leasing(self, sql: str) -> str:
        """A query over :attr:`turns` that passes over what others are leasing."""
        return self.locking(sql, "j", skip=True)

    def locking(self, sql: str, of: str, *, skip: bool = False) -> str:  # noqa: ARG002 - nobody else writes here
        """A query that locks the rows it reads of a table; ``skip``: those that nobody else has locked."""
        return sql


class PostgresDialect(Dialect):
    """The words of PostgreSQL."""

    def __init__(self) -> None:
        super().__init__(
            name="postgresql",
            concurrent=True,
            turns="subjobs AS s JOIN jobs AS j ON j.number = s.job",
            label="EXISTS (SELECT 1 FROM jsonb_each_text(jobs.labels::jsonb) AS label(key, value) "
            'WHERE key COLLATE "C" = ? AND {holds})',
            indexes="SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()",
        )

    @override
    def attribute(self, name: str, *, number: bool) -> str:
        # Every text column compares byte by byte; what is taken out of JSON has to be told.
        return f"((attributes::jsonb ->> '{name}')" + ("::bigint)" if number else ' COLLATE "C")')

    @override
    def contains(self, sql: str) -> str:
        return f"strpos({sql}, ?) > 0"

    @override
    def lower(self, sql: str) -> str:
        return f'lower({sql} COLLATE "C")'

    @override
    def locking(self, sql: str, of: str, *, skip: bool = False) -> str:
        return f"{sql} FOR UPDATE OF {of}{' SKIP LOCKED' if skip else ''}"


SQLITE: Final = Dialect()
POSTGRESQL: Final = PostgresDialect()
