"""The column types and the metadata that all tables share."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Double, Index, Integer, LargeBinary, MetaData, Text
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

BIG = BigInteger().with_variant(Integer, "sqlite")
"""64 bits in both databases; SQLite numbers rows by itself only in a column declared INTEGER."""

TEXT = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that compares byte by byte, in every database alike."""

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Row(SQLModel):
    """A storage row. It checks nothing: what is written was validated at the edge and resolved by a use case."""

    metadata: ClassVar[MetaData] = METADATA


def part_of_key(type_: Any = TEXT) -> Any:
    """A part of the primary key."""
    return Field(primary_key=True, sa_type=type_)


def numbered() -> Any:
    """A primary key given by the writer, rising, and never given twice."""
    return Field(default=None, primary_key=True, sa_type=BIG)


def text() -> Any:
    """Text of any length."""
    return Field(sa_type=TEXT)


def optional_text() -> Any:
    """Text that may be missing."""
    return Field(default=None, sa_type=TEXT, nullable=True)


def big() -> Any:
    """A 64-bit number; instants are microseconds since the epoch."""
    return Field(sa_type=BIG)


def real() -> Any:
    """A number of double precision."""
    return Field(sa_type=Double)


def optional_big(*, index: bool = False) -> Any:
    """A 64-bit number that may be missing."""
    return Field(default=None, sa_type=BIG, nullable=True, index=index)


def binary() -> Any:
    """Bytes."""
    return Field(sa_type=LargeBinary)


def partial(name: str, *columns: Any, where: str, unique: bool = False) -> Index:
    """An index over the rows that satisfy ``where``, in every database alike."""
    condition = sql(where)
    return Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)
