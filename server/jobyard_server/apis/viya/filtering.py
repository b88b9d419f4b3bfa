"""The filter language of SAS Viya: ``and(eq(name,'x'),gt(creationTimeStamp,'2026-01-01T00:00:00.000Z'))``.

::

    filter   = call
    call     = name "(" argument { "," argument } ")"
    argument = call | value
    value    = "'" text "'" | '"' text '"' | bare

A quote inside quotes is doubled or escaped by a backslash; a bare value ends at a comma or a bracket. Members may be
quoted as well. What a function says about a member is decided by whoever knows the members, see :class:`Members`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol

from jobyard_server.domain.filter import MAX_DEPTH, MAX_TERMS, All, Expression, Not, Op
from jobyard_server.domain.filter import Any as AnyOf
from jobyard_server.domain.reason import Reason, Violation, refuse

MAX_LENGTH: Final = 8192
MOST_VALUES: Final = 500

_COMPARISONS: Final = {
    "eq": Op.EQ,
    "ne": Op.NE,
    "lt": Op.LT,
    "le": Op.LE,
    "gt": Op.GT,
    "ge": Op.GE,
    "contains": Op.HAS,
    "startsWith": Op.STARTS_WITH,
    "endsWith": Op.ENDS_WITH,
    "isNull": Op.IS_NULL,
    "in": Op.IN,
}
_ARGUMENTS: Final = {Op.IS_NULL: (1, 1), Op.IN: (2, MOST_VALUES + 1)}
"""How many, where it is not two."""
_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<text>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")|(?P<mark>[(),])|(?P<bare>[^\s(),'"][^(),]*))""",
    re.DOTALL,
)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


class Members(Protocol):
    """What the members of some resource are compared by."""

    def compare(self, name: str, op: Op, values: tuple[str, ...]) -> Expression:
        """The condition on a member; several values for IN, none for IS_NULL. ``Refused`` for an unknown member."""


@dataclass(frozen=True, slots=True)
class _Call:
    name: str
    arguments: tuple[_Call | str, ...]


def read(text: str, members: Members) -> Expression | None:
    """Read a filter; ``None`` for a blank one. Raises ``Refused`` (INVALID_FILTER)."""
    if not text.strip():
        return None
    if len(text) > MAX_LENGTH:
        fail(f"The filter is longer than {MAX_LENGTH} characters.")
    return _Meaning(members).of(_Parser(text).whole())


def fail(message: str) -> NoReturn:
    """Refuse a filter."""
    raise refuse(Reason.INVALID_FILTER, message, Violation("filter", message.rstrip(".")))


class _Bare(str):
    """A value without quotes: null is none, 'null' is a text."""

    __slots__ = ()


class _Parser:
    """Reads calls inside calls."""

    def __init__(self, text: str) -> None:
        self._text = text.rstrip()
        self._at = 0
        self._depth = 0

    def whole(self) -> _Call:
        found = self._argument()
        if self._at < len(self._text):
            fail(f"The filter cannot be read at column {self._at + 1}.")
        if not isinstance(found, _Call):
            fail("The filter is not a function.")
        return found

    def _next(self) -> tuple[str, str]:
        found = _TOKEN.match(self._text, self._at)
        if found is None or found.lastgroup is None:
            fail(f"The filter cannot be read at column {self._at + 1}.")
        self._at = found.end()
        return found.lastgroup, found[found.lastgroup]

    def _argument(self) -> _Call | str:
        kind, text = self._next()
        if kind == "mark":
            fail(f"The filter has an unexpected {text!r} at column {self._at}.")
        if kind == "text":
            return _plain(text)
        text = text.rstrip()
        if self._at < len(self._text) and self._text[self._at] == "(":
            self._at += 1
            return self._call(text)
        return _Bare(text)

    def _call(self, name: str) -> _Call:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            fail(f"The filter is nested deeper than {MAX_DEPTH}.")
        arguments: list[_Call | str] = []
        while True:
            arguments.append(self._argument())
            kind, mark = self._next()
            if kind != "mark" or mark == "(":
                fail(f"The filter needs ',' or ')' before column {self._at + 1}.")
            if mark == ")":
                self._depth -= 1
                return _Call(name, tuple(arguments))


def _plain(quoted: str) -> str:
    quote, inner = quoted[0], quoted[1:-1]
    return _ESCAPED.sub(r"\1", inner.replace(quote * 2, quote))


class _Meaning:
    """Gives calls their meaning."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self._terms = 0

    def of(self, call: _Call) -> Expression:
        match call.name:
            case "and":
                return All(self._parts(call))
            case "or":
                return AnyOf(self._parts(call))
            case "not":
                self._check(call, 1, 1)
                return Not(self._part(call.arguments[0]))
            case _:
                return self._comparison(call)

    def _comparison(self, call: _Call) -> Expression:
        op = _COMPARISONS.get(call.name)
        if op is None:
            fail(f"Unsupported function in filter request: {call.name}")
        self._check(call, *_ARGUMENTS.get(op, (2, 2)))
        if op in (Op.EQ, Op.NE) and isinstance(call.arguments[1], _Bare) and call.arguments[1] == "null":
            missing = self._compare(_Call("isNull", call.arguments[:1]), Op.IS_NULL)
            return missing if op is Op.EQ else Not(missing)
        return self._compare(call, op)

    def _parts(self, call: _Call) -> tuple[Expression, ...]:
        return tuple(map(self._part, call.arguments))

    def _part(self, argument: _Call | str) -> Expression:
        if isinstance(argument, str):
            fail(f"The filter has {argument!r} where a function is expected.")
        return self.of(argument)

    def _check(self, call: _Call, least: int, most: int) -> None:
        if not least <= len(call.arguments) <= most:
            number = f"{least}" if least == most else f"{least} to {most}"
            fail(f"The function {call.name} of the filter takes {number} argument{'s' if most > 1 else ''}.")

    def _compare(self, call: _Call, op: Op) -> Expression:
        self._terms += 1
        if self._terms > MAX_TERMS:
            fail(f"The filter has more than {MAX_TERMS} conditions.")
        name, *values = call.arguments
        if isinstance(name, _Call):
            fail(f"The function {call.name} of the filter takes a member first.")
        said = [value for value in values if isinstance(value, str)]
        if len(said) < len(values):
            fail(f"The function {call.name} of the filter takes values.")
        return self._members.compare(name, op, tuple(said))
