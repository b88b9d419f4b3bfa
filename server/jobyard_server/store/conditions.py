"""Conditions on jobs as SQL: every part is true or false, never NULL, so that NOT means what it says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from jobyard_server.domain.fields import INT64_MAX, INT64_MIN
from jobyard_server.domain.filter import All, Comparison, Expression, Not, Op
from jobyard_server.domain.filter import Any as AnyOf
from jobyard_server.domain.job import LABELS_PREFIX
from jobyard_server.domain.matching import in_lower_case
from jobyard_server.domain.reason import Reason, Violation, refuse
from jobyard_server.store.expressions import Term, term
from jobyard_server.store.rows import kept

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jobyard_server.domain.fields import Kind
    from jobyard_server.store.dialect import Dialect

_ORDER: Final = {Op.LT: "<", Op.LE: "<=", Op.GT: ">", Op.GE: ">="}
_TRUE: Final = "1 = 1"
_FALSE: Final = "1 = 0"


@dataclass(slots=True)
class Conditions:
    """SQL being written, with its parameters in order."""

    attributes: Mapping[str, Kind]
    dialect: Dialect
    parameters: list[Any] = field(default_factory=list)
    term: Callable[[str, Mapping[str, Kind], Dialect], Term | None] = term
    """What a name is in SQL."""

    def sql(self, expression: Expression) -> str:
        """The condition; raises ``Refused`` (INVALID_FILTER) for a field that jobs of this API do not have."""
        match expression:
            case All(parts):
                return "(" + " AND ".join(self.sql(part) for part in parts) + ")" if parts else _TRUE
            case AnyOf(parts):
                return "(" + " OR ".join(self.sql(part) for part in parts) + ")" if parts else _FALSE
            case Not(part):
                return f"NOT {self.sql(part)}"
            case Comparison(name, op, value):
                if name.startswith(LABELS_PREFIX):
                    return self._label(name.removeprefix(LABELS_PREFIX), op, value)
                found = self.term(name, self.attributes, self.dialect)
                if found is None:
                    problem = f"{name} is not a field of these jobs"
                    raise refuse(Reason.INVALID_FILTER, f"filter: {problem}", Violation("filter", problem), field=name)
                return self._compare(found, op, value)

    def _label(self, key: str, op: Op, value: Any) -> str:
        """Labels are looked up one by one: their keys are chosen by callers, so there is no index over them."""
        absent = "NOT " if op in (Op.IS_NULL, Op.NE) else ""
        self.parameters.append(kept(key))
        holds = _TRUE if op is Op.IS_NULL else self._holds(Term("value", number=False), _positive(op), value)
        return absent + self.dialect.label.format(holds=holds)

    def _compare(self, found: Term, op: Op, value: Any) -> str:
        if op is Op.IS_NULL:
            return f"{found.source} IS NULL" if found.source else _FALSE
        holds = self._holds(found, _positive(op), value)
        return f"NOT {holds}" if op is Op.NE else holds

    def _holds(self, found: Term, op: Op, value: Any) -> str:
        """Whether there is a value and it compares so; no index is used for what is not equality or order."""
        if op is Op.IN:
            wanted = [one for one in value if _fits(found, one)]
            return self._any_of(found, wanted) if wanted else _FALSE
        if not _fits(found, value):
            return self._beyond(found, op, value)
        if op is Op.EQ:
            return self._equals(found, value)
        if op in _ORDER:
            needed = op in (Op.LT, Op.LE) or value == found.missing
            return self._with_value(found, f"{found.sql} {_ORDER[op]} ?", value, needed=needed)
        if found.number:
            return _FALSE
        return self._with_value(found, self._text(found.sql, op, value), None, needed=True)

    def _equals(self, found: Term, value: Any) -> str:
        if found.source is not None and found.source.isidentifier():
            # Spelled so, an index that holds only rows with a value serves it.
            self.parameters.append(_bound(value))
            return f"({found.source} IS NOT NULL AND {found.source} = ?)"
        return self._with_value(found, f"{found.sql} = ?", value, needed=value == found.missing)

    def _beyond(self, found: Term, op: Op, value: Any) -> str:
        """The comparison with what the field cannot hold: an integer beyond 64 bits is above or below all others."""
        above = found.number and isinstance(value, int) and value > INT64_MAX
        below = found.number and isinstance(value, int) and value < INT64_MIN
        if (above and op in (Op.LT, Op.LE)) or (below and op in (Op.GT, Op.GE)):
            return f"{found.source} IS NOT NULL" if found.source else _TRUE
        return _FALSE

    def _with_value(self, found: Term, sql: str, value: Any, *, needed: bool) -> str:
        """The comparison, and that there is a value where what stands for none would satisfy it too."""
        if value is not None:
            self.parameters.append(_bound(value))
        return f"({sql} AND {found.source} IS NOT NULL)" if needed and found.source else f"({sql})"

    def _any_of(self, found: Term, wanted: list[Any]) -> str:
        self.parameters.extend(_bound(one) for one in wanted)
        places = ", ".join("?" * len(wanted))
        needed = found.source and found.missing in wanted
        return f"({found.sql} IN ({places})" + (f" AND {found.source} IS NOT NULL)" if needed else ")")

    def _text(self, sql: str, op: Op, value: str) -> str:
        text = kept(value)
        match op:
            case Op.HAS:
                self.parameters.append(text)
                return self.dialect.contains(sql)
            case Op.HAS_ANY_CASE:
                self.parameters.append(in_lower_case(text))
                return self.dialect.contains(self.dialect.lower(sql))
            case Op.STARTS_WITH:
                self.parameters.extend((len(text), text))
                return f"substr({sql}, 1, CAST(? AS INTEGER)) = ?"
            case _:
                self.parameters.extend((len(text), text))
                return f"substr({sql}, CAST(length({sql}) + 1 - ? AS INTEGER)) = ?"


def _positive(op: Op) -> Op:
    return Op.EQ if op is Op.NE else op


def _fits(found: Term, value: Any) -> bool:
    """Whether a value can be held by the field at all; another one equals nothing."""
    if found.number:
        return isinstance(value, int) and INT64_MIN <= value <= INT64_MAX
    return isinstance(value, str)


def _bound(value: Any) -> Any:
    return kept(value) if isinstance(value, str) else value
