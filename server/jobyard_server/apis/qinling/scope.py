"""Whose things a call sees: those of its own project, unless an administrator asks for more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from jobyard_server.apis.qinling import names, refusals
from jobyard_server.domain.filter import All, Comparison, Expression, Not, Op
from jobyard_server.domain.matching import matches
from jobyard_server.rpc import caller
from jobyard_server.usecases.call import ALL_TENANTS, Call

MOST: Final = 10_000
"""Rows of one list; clients know no pages."""

_ORDERS: Final[Mapping[str, Op]] = {
    "eq": Op.EQ,
    "neq": Op.NE,
    "gt": Op.GT,
    "gte": Op.GE,
    "lt": Op.LT,
    "lte": Op.LE,
    "has": Op.HAS,
}


def current_call() -> Call:
    """The call being served."""
    return Call(principal=caller.principal(), api=names.API, request_id=caller.request_id())


def is_admin(call: Call) -> bool:
    """Whether the caller may see what belongs to other projects."""
    return call.principal.may(ALL_TENANTS)


def seen_tenant(call: Call) -> str | None:
    """Whose jobs may be looked up by id; ``None``: everybody's."""
    return None if is_admin(call) else call.tenant


def condition(field: str, value: str) -> Expression:
    """What a parameter asks for: a value, or one behind an operator such as ``in:``."""
    word, colon, rest = value.partition(":")
    if colon and word in _ORDERS:
        return Comparison(field, _ORDERS[word], rest)
    if colon and word in {"in", "nin"}:
        among = Comparison(field, Op.IN, tuple(rest.split(",")))
        return among if word == "in" else Not(among)
    return Comparison(field, Op.EQ, value)


@dataclass(frozen=True, slots=True)
class Seen:
    """Whose things a list shows."""

    tenant: str | None
    """The one project; ``None``: all that the condition leaves."""
    where: Expression | None = None
    """A condition on ``tenant``."""


def seen(call: Call, *, all_projects: bool, project_id: str | None) -> Seen:
    """What a list shows; naming a project is ignored unless an administrator does so."""
    if all_projects and not is_admin(call):
        raise refusals.not_allowed(ALL_TENANTS)
    if project_id and is_admin(call):
        return Seen(None, condition("tenant", project_id))
    return Seen(None if all_projects else call.tenant)


def joined(*parts: Expression | None) -> Expression:
    """All conditions that there are."""
    return All(tuple(part for part in parts if part is not None))


def fits(value: str, wanted: str) -> bool:
    """Whether a value at hand is one that a parameter asks for."""
    found: Callable[[str], str] = lambda _: value  # noqa: E731 - one value, whatever it is called
    return matches(condition("value", wanted), found)
