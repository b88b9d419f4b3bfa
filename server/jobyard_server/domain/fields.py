"""The fields lists of jobs are filtered and sorted by: their kinds, and the check of a filter against them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NoReturn

from jobyard_server.domain.filter import All, Any, Comparison, Expression, Not, Op, Scalar
from jobyard_server.domain.job import LABELS_PREFIX
from jobyard_server.domain.reason import Reason, Violation, refuse
from jobyard_server.domain.state import Mode, State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobyard_server.domain.job import Attribute, Job

INT64_MAX: Final = 2**63 - 1
INT64_MIN: Final = -(2**63)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANT: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)\Z",
)


class Kind(StrEnum):
    """What a field holds."""

    TEXT = "TEXT"
    INT = "INT"
    INSTANT = "INSTANT"
    WORD = "WORD"
    """One of a closed list of words."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field as a client may name it."""

    column: str
    """What the store calls it."""
    kind: Kind = Kind.TEXT
    words: frozenset[str] = frozenset()
    sortable: bool = False


def words(column: str, allowed: type[StrEnum], *, sortable: bool = False) -> Field:
    """A field with a closed list of words."""
    return Field(column, Kind.WORD, frozenset(allowed), sortable)


JOB_FIELDS: Final[Mapping[str, Field]] = {
    "number": Field("number", Kind.INT, sortable=True),
    "uid": Field("uid"),
    "api": Field("api"),
    "tenant": Field("tenant"),
    "external_id": Field("external_id"),
    "display_name": Field("display_name", sortable=True),
    "mode": words("mode", Mode),
    "state": words("state", State, sortable=True),
    "reason": Field("reason"),
    "definition": Field("definition", sortable=True),
    "definition_version": Field("definition_version", Kind.INT),
    "queue": Field("queue", sortable=True),
    "priority": Field("priority", Kind.INT, sortable=True),
    "fair_key": Field("fair_key"),
    "created_by": Field("created_by", sortable=True),
    "create_time": Field("created_at", Kind.INSTANT, sortable=True),
    "update_time": Field("updated_at", Kind.INSTANT, sortable=True),
    "start_time": Field("started_at", Kind.INSTANT),
    "end_time": Field("finished_at", Kind.INSTANT, sortable=True),
    "expire_time": Field("expires_at", Kind.INSTANT),
    "parent": Field("parent", Kind.INT),
    "due_time": Field("due_at", Kind.INSTANT),
}
"""The fields of ``jobyard.jobs.v1.Job`` that may be filtered, in the spelling of the proto; ``labels.KEY`` beside."""

JOB_COLUMNS: Final[Mapping[str, Kind]] = {
    **{field.column: Kind.TEXT if field.kind is Kind.WORD else field.kind for field in JOB_FIELDS.values()},
    "state_word": Kind.TEXT,
    "message": Kind.TEXT,
    "generation": Kind.INT,
    "revision": Kind.INT,
}
"""What conditions and orders may name beside labels: columns. Any other name is an attribute of the job's API."""

MOVING: Final = frozenset({"state_word", "updated_at"})
"""Columns that the work on a job changes and that an API may have an index over."""

LASTING: Final = frozenset({"display_name", "definition", "queue", "created_by", "created_at"})
"""Columns that it does not change and that an API may have an index over."""

DEFINITION_COLUMNS: Final[Mapping[str, Kind]] = {
    **dict.fromkeys(("id", "tenant", "base", "display_name", "queue", "created_by"), Kind.TEXT),
    **dict.fromkeys(("created_at", "updated_at"), Kind.INSTANT),
}
"""The same of definitions; all of them have a value."""

RECORD_COLUMNS: Final[Mapping[str, Kind]] = {"id": Kind.TEXT, "tenant": Kind.TEXT, "created_at": Kind.INSTANT}
"""The same of records."""

FIRST_RESULT: Final = "first_result"
"""The result of a job's first subjob, as JSON text: for conditions alone, and without an index."""

ELAPSED_MILLIS: Final = "elapsed_millis"
"""Milliseconds that a job took that has ended, both instants cut down to them: for conditions alone as well."""

DERIVED: Final = frozenset({FIRST_RESULT, ELAPSED_MILLIS})

NULLABLE: Final = frozenset({"external_id", "started_at", "finished_at", "expires_at", "parent", "due_at"})
"""Columns that may have no value; every label and attribute may."""

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class ApiFields:
    """What an API filters and sorts its own jobs by, beside their number."""

    attributes: Mapping[str, Kind]
    """Its attributes: TEXT, or INT for integers and instants."""
    indexed: tuple[str, ...] = ()
    """Attributes and columns that get an index each. It costs a little with every submit."""
    finders: frozenset[str] = frozenset()
    """Those of them of which a value is shared by a few jobs among many: a better way to them than any order."""

    @property
    def standing(self) -> frozenset[str]:
        """Those of the indexed columns that change while a job lives. Each costs a little with every step of it."""
        return MOVING & frozenset(self.indexed)

    def __post_init__(self) -> None:
        for name, kind in self.attributes.items():
            taken = name in JOB_COLUMNS or name in DERIVED
            if not _NAME.match(name) or taken or kind not in (Kind.TEXT, Kind.INT):
                raise ValueError(f"{name!r} ({kind}) cannot be an attribute")
        if unknown := set(self.indexed) - self.attributes.keys() - LASTING - MOVING:
            raise ValueError(f"nothing to index: {sorted(unknown)}")
        if not self.finders <= set(self.indexed):
            raise ValueError(f"not all of {sorted(self.finders)} have an index")


_ORDERED: Final = frozenset({Op.LT, Op.LE, Op.GT, Op.GE})


def job_value(job: Job, name: str) -> Attribute:
    """What a job holds under a name of :data:`JOB_COLUMNS`, its elapsed time, ``labels.KEY``, or an attribute."""
    if name in JOB_COLUMNS:
        value: Attribute = getattr(job, name)
        return value
    if name == ELAPSED_MILLIS:
        return None if job.finished_at is None else job.finished_at // 1000 - job.created_at // 1000
    if name.startswith(LABELS_PREFIX):
        return job.labels.get(name.removeprefix(LABELS_PREFIX))
    return job.attributes.get(name)


def bind(expression: Expression, fields: Mapping[str, Field]) -> Expression:
    """Check a parsed filter against the fields there are, and give its values their types.

    Raises ``Refused`` (INVALID_FILTER) naming the field.
    """
    match expression:
        case All(parts):
            return All(tuple(bind(part, fields) for part in parts))
        case Any(parts):
            return Any(tuple(bind(part, fields) for part in parts))
        case Not(part):
            return Not(bind(part, fields))
        case Comparison(name, op, value):
            return _bind_comparison(name, op, str(value), fields)


def _bind_comparison(name: str, op: Op, text: str, fields: Mapping[str, Field]) -> Expression:
    if name.startswith(LABELS_PREFIX) and len(name) > len(LABELS_PREFIX):
        field = Field(name)
    elif name in fields:
        field = fields[name]
    else:
        _fail(name, f"is not a field to filter by; there are {', '.join(sorted(fields))} and labels.KEY")
    if op is Op.HAS:
        if text == "*":
            return Not(Comparison(field.column, Op.IS_NULL, None))
        if field.kind is not Kind.TEXT:
            _fail(name, "cannot be searched with ':'; compare it with '='")
    if field.kind is Kind.WORD and op in _ORDERED:
        _fail(name, f"cannot be compared with {op.value!r}")
    value = _typed(name, field, text)
    if field.column in NULLABLE and field.kind is not Kind.INSTANT and not value and op in (Op.EQ, Op.NE):
        # Without a value a job shows the zero of the field.
        absent = Comparison(field.column, Op.IS_NULL, None)
        return absent if op is Op.EQ else Not(absent)
    return Comparison(field.column, op, value)


def _typed(name: str, field: Field, text: str) -> Scalar:
    match field.kind:
        case Kind.TEXT:
            return text
        case Kind.WORD:
            # The proto has the same words behind the name of their enum.
            bare = text.removeprefix(f"{name.upper()}_")
            if bare not in field.words:
                _fail(name, f"is one of {', '.join(sorted(field.words))}, not {text!r}")
            return bare
        case Kind.INT:
            if not re.fullmatch(r"-?[0-9]{1,19}", text) or not INT64_MIN <= int(text) <= INT64_MAX:
                _fail(name, f"is an integer of 64 bits, not {text!r}")
            return int(text)
        case Kind.INSTANT:
            try:
                return instant(text)
            except ValueError as error:
                _fail(name, f"{error}, not {text!r}")


def instant(text: str) -> int:
    """Microseconds of an RFC 3339 time; ``ValueError`` with a phrase when it is none. Finer digits are cut off."""
    match = _INSTANT.match(text)
    if match is None:
        raise ValueError("is a time such as 2026-01-31T23:59:59Z")
    day, clock, fraction, zone = match.groups()
    if clock.startswith("24"):
        # Newer Pythons take it for the midnight behind the day.
        raise ValueError("is a time that exists")
    try:
        whole = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone in 'Zz' else zone}")
        since = whole - _EPOCH
    except (ValueError, OverflowError) as error:
        raise ValueError("is a time that exists") from error
    return since // timedelta(microseconds=1) + int((fraction or "")[:6].ljust(6, "0"))


def _fail(name: str, problem: str) -> NoReturn:
    raise refuse(
        Reason.INVALID_FILTER, f"filter: {name} {problem}", Violation("filter", f"{name} {problem}"), field=name
    )
