"""What members of a resource are filtered and sorted by: their kinds, and the conditions that follow from them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final

from jobyard_server.apis.viya.filtering import fail
from jobyard_server.apis.viya.times import MILLI, micros_of
from jobyard_server.domain.fields import INT64_MAX, INT64_MIN
from jobyard_server.domain.filter import All, Comparison, Expression, Not, Op
from jobyard_server.domain.filter import Any as AnyOf
from jobyard_server.domain.matching import matches
from jobyard_server.domain.reason import Reason, Refused, Violation, refuse
from jobyard_server.usecases.ports import Order

SEARCHED_MOST: Final = 65_536
"""Characters; what comes after them is not searched."""
TEXT_ONLY: Final = frozenset({Op.HAS, Op.STARTS_WITH, Op.ENDS_WITH})
_INTEGER: Final = re.compile(r"-?[0-9]{1,18}\Z")
_SORT: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9.]*)(?::(ascending|descending))?(?::(?:primary|secondary|tertiary|quaternary|identical))?\Z"
)


def searched(members: Mapping[str, Any], *names: str) -> dict[str, str]:
    """What is searched in of those members that are there and not empty: their beginning, as JSON."""
    return {name: json.dumps(members[name], ensure_ascii=False)[:SEARCHED_MOST] for name in names if members.get(name)}


class Kind(Enum):
    """What a member holds."""

    TEXT = auto()
    INT = auto()
    TIME = auto()
    """Kept in microseconds, shown in milliseconds."""
    SEARCHED = auto()
    """Several things in one text, which can only be searched."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member, and where its value is kept."""

    column: str
    kind: Kind = Kind.TEXT
    sortable: bool = True
    empty_is_null: bool = False
    """Where it is kept, an empty text stands for none."""


Special = Callable[[Op, tuple[str, ...]], Expression]
"""The condition on a member that is kept nowhere as such."""


@dataclass(frozen=True, slots=True)
class Table:
    """The members of a resource."""

    members: Mapping[str, Member]
    special: Mapping[str, Special] = field(default_factory=dict)
    sorted_by: Mapping[str, str] = field(default_factory=dict)
    """Columns by which special members are sorted."""

    def compare(self, name: str, op: Op, values: tuple[str, ...]) -> Expression:
        """The condition on a member."""
        if name in self.special:
            return self.special[name](op, values)
        member = self.members.get(name)
        if member is None:
            fail(f"The member {name!r} cannot be filtered by.")
        return condition(name, member, op, values)

    def order(self, text: str) -> tuple[Order, ...]:
        """Read ``key:descending,key``; raises ``Refused`` (INVALID_ORDER)."""
        keys: list[Order] = []
        for part in text.split(","):
            found = _SORT.match(part.strip())
            column = self._sort_column(found[1]) if found is not None else ""
            if found is None or not column:
                raise _unsorted(part.strip())
            if column not in {key.field for key in keys}:
                keys.append(Order(column, descending=found[2] == "descending"))
        return tuple(keys)

    def _sort_column(self, name: str) -> str:
        member = self.members.get(name)
        if member is not None and member.sortable:
            return member.column
        return self.sorted_by.get(name, "")


def condition(name: str, member: Member, op: Op, values: tuple[str, ...]) -> Expression:
    """The condition on a member that has a column."""
    column = member.column
    if op is Op.IS_NULL:
        null = Comparison(column, Op.IS_NULL, None)
        return AnyOf((null, Comparison(column, Op.EQ, ""))) if member.empty_is_null else null
    if op is Op.IN:
        return AnyOf(tuple(condition(name, member, Op.EQ, (value,)) for value in values))
    (value,) = values
    if member.kind is Kind.SEARCHED and op is not Op.HAS:
        fail(f"The member {name!r} can only be searched with contains.")
    if op in TEXT_ONLY and member.kind is Kind.INT:
        fail(f"The member {name!r} is no text.")
    if member.kind is Kind.TIME:
        return time_condition(lambda op, at: Comparison(column, op, at), name, op, value)
    return Comparison(column, op, integer(name, value) if member.kind is Kind.INT else value)


def time_condition(compared: Callable[[Op, int], Expression], name: str, op: Op, value: str) -> Expression:
    """The condition on a time that is kept in microseconds and compared in the milliseconds that clients see."""
    if op in TEXT_ONLY:
        fail(f"The member {name!r} is no text.")
    try:
        at = micros_of(value)
    except ValueError:
        fail(f"The member {name!r} is compared with a time such as '2026-01-31T23:59:59.000Z', not {value!r}.")
    return instant_condition(compared, op, at - at % MILLI)


def instant_condition(compared: Callable[[Op, int], Expression], op: Op, at: int) -> Expression:
    """The condition on such a time; ``at`` is a whole millisecond, in microseconds."""
    match op:
        case Op.EQ:
            return All((compared(Op.GE, at), compared(Op.LT, at + MILLI)))
        case Op.NE:
            return Not(All((compared(Op.GE, at), compared(Op.LT, at + MILLI))))
        case Op.GT:
            return compared(Op.GE, at + MILLI)
        case Op.LE:
            return compared(Op.LT, at + MILLI)
        case _:
            return compared(op, at)


def integer(name: str, value: str) -> int:
    """The number that a member is compared with."""
    if not _INTEGER.match(value) or not INT64_MIN <= int(value) <= INT64_MAX:
        fail(f"The member {name!r} is compared with an integer, not {value!r}.")
    return int(value)


ALWAYS: Final = All(())
NEVER: Final = AnyOf(())


def constant(name: str, value: int) -> Special:
    """The condition on a number that is the same in all representations."""

    def compare(op: Op, values: tuple[str, ...]) -> Expression:
        if op in TEXT_ONLY:
            fail(f"The member {name!r} is no text.")
        wanted = tuple(integer(name, each) for each in values)
        held = Comparison(name, op, wanted if op is Op.IN else next(iter(wanted), None))
        return ALWAYS if matches(held, lambda _: value) else NEVER

    return compare


def only_null(name: str, when: Expression) -> Special:
    """The condition on a member of which one can only ask whether it is there; ``when`` it is not."""

    def compare(op: Op, _values: tuple[str, ...]) -> Expression:
        if op is not Op.IS_NULL:
            fail(f"The member {name!r} can only be asked for with isNull.")
        return when

    return compare


def _unsorted(part: str) -> Refused:
    problem = f"{part!r} is not a member to sort by"
    return refuse(Reason.INVALID_ORDER, f"The sortBy parameter is invalid: {problem}.", Violation("sortBy", problem))
