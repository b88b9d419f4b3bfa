"""Whether a filter holds for values at hand: the meaning that the store's SQL has to reproduce."""

from __future__ import annotations

import operator
import typing
from collections.abc import Callable, Mapping
from typing import Final

from jobyard_server.domain.filter import All, Any, Comparison, Expression, Not, Op, Scalar


def matches(expression: Expression, value_of: Callable[[str], Scalar]) -> bool:
    """Whether ``expression`` holds for a thing whose fields ``value_of`` tells; ``None`` is a missing value."""
    match expression:
        case All(parts):
            return all(matches(part, value_of) for part in parts)
        case Any(parts):
            return any(matches(part, value_of) for part in parts)
        case Not(part):
            return not matches(part, value_of)
        case Comparison(name, op, wanted):
            return _compare(value_of(name), op, wanted)


def _compare(actual: Scalar, op: Op, wanted: Scalar | tuple[Scalar, ...]) -> bool:
    if op is Op.IS_NULL:
        return actual is None
    if op is Op.NE:
        return actual != wanted
    if op is Op.IN:
        return actual is not None and isinstance(wanted, tuple) and actual in wanted
    if isinstance(actual, str) and isinstance(wanted, str):
        return _TEXT[op](actual, wanted)
    if isinstance(actual, int) and isinstance(wanted, int) and op in _ORDER:
        return _ORDER[op](actual, wanted)
    return False


def in_lower_case(text: str) -> str:
    """ASCII letters alone: what a database makes of others is up to where it runs."""
    return text.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


_ORDER: Final[Mapping[Op, Callable[[typing.Any, typing.Any], bool]]] = {
    Op.EQ: operator.eq,
    Op.LT: operator.lt,
    Op.LE: operator.le,
    Op.GT: operator.gt,
    Op.GE: operator.ge,
}
_TEXT: Final[Mapping[Op, Callable[[str, str], bool]]] = {
    **_ORDER,
    Op.HAS: operator.contains,
    Op.HAS_ANY_CASE: lambda actual, wanted: in_lower_case(wanted) in in_lower_case(actual),
    Op.STARTS_WITH: str.startswith,
    Op.ENDS_WITH: str.endswith,
}
