"""The filter and the order of a list as a caller writes them, read into what the store understands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobyard_server.domain.fields import Field, bind
from jobyard_server.domain.filter import All, Expression, parse
from jobyard_server.domain.reason import Reason, Violation, refuse
from jobyard_server.usecases.ports import Order

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobyard_server.domain.reason import Refused


def conditions(text: str, where: Expression | None, fields: Mapping[str, Field]) -> Expression | None:
    """A written filter and built conditions, joined."""
    parsed = parse(text)
    if parsed is None:
        return where
    bound = bind(parsed, fields)
    return bound if where is None else All((where, bound))


def parse_order(text: str, fields: Mapping[str, Field]) -> tuple[Order, ...]:
    """Read ``field [asc|desc], ...``; raises ``Refused`` (INVALID_ORDER)."""
    keys: list[Order] = []
    for part in text.split(","):
        name, *direction = part.split() or [""]
        field = fields.get(name)
        if field is None or not field.sortable:
            known = ", ".join(sorted(key for key, value in fields.items() if value.sortable))
            raise _order_refused(f"{name!r} is not a field to sort by; there are {known}", name)
        if direction not in ([], ["asc"], ["desc"]):
            raise _order_refused(f"expected asc or desc after {name!r}", name)
        if field.column in {key.field for key in keys}:
            raise _order_refused(f"{name!r} is named twice", name)
        keys.append(Order(field.column, descending=direction == ["desc"]))
    return tuple(keys)


def _order_refused(problem: str, name: str) -> Refused:
    return refuse(Reason.INVALID_ORDER, f"order_by: {problem}", Violation("order_by", problem), field=name)
