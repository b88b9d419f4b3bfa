"""What calls see: the things of their own project, unless an administrator asks for more; how lists are read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, TypeVar

from google.protobuf.message import Message

from jobyard_server.apis.qinling import names, refusals
from jobyard_server.domain.filter import All, Any, Comparison, Expression, Not, Op, Scalar
from jobyard_server.domain.matching import matches
from jobyard_server.rpc import caller
from jobyard_server.usecases.call import ALL_TENANTS, Call

PAGE: Final = 200
"""Rows that are read at once; a result has up to 1 MiB."""
ANSWER_BYTES: Final = 32 * 1024 * 1024
"""What one list holds; clients know no pages."""

Row = TypeVar("Row")
Shown = TypeVar("Shown", bound=Message)

_ORDERS: Final[Mapping[str, Op]] = {
    "eq": Op.EQ,
    "neq": Op.NE,
    "gt": Op.GT,
    "gte": Op.GE,
    "lt": Op.LT,
    "lte": Op.LE,
    "has": Op.HAS_ANY_CASE,
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


async def pages(
    read: Callable[[Expression | None], Awaitable[Sequence[Row]]], key: Callable[[Row], Mapping[str, Scalar]]
) -> AsyncIterator[Sequence[Row]]:
    """All rows, read by descending keys: each page is what comes behind the last row of the one before."""
    page = await read(None)
    while page:
        yield page
        page = await read(_behind(key(page[-1]))) if len(page) >= PAGE else ()


def _behind(key: Mapping[str, Scalar]) -> Expression:
    found: list[Expression] = []
    same: tuple[Expression, ...] = ()
    for field, value in key.items():
        found.append(All((*same, Comparison(field, Op.LT, value))))
        same = (*same, Comparison(field, Op.EQ, value))
    return Any(tuple(found))


async def told(shown: AsyncGenerator[Shown]) -> Sequence[Shown]:
    """The answer to a list whose newest rows come first: as many of them as it holds, the oldest first."""
    found, size = [], 0
    async with aclosing(shown):
        async for one in shown:
            size += one.ByteSize()
            if size > ANSWER_BYTES:
                break
            found.append(one)
    found.reverse()
    return found
