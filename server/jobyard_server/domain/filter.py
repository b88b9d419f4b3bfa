"""Conditions on jobs as a small tree, and the filter language of jobs.v1 that reads into it.

The language is a subset of AIP-160::

    filter     = [ or ]
    or         = and { "OR" and }
    and        = unary { [ "AND" ] unary }
    unary      = [ "NOT" | "-" ] ( "(" or ")" | comparison )
    comparison = field ( "=" | "!=" | "<" | "<=" | ">" | ">=" | ":" ) value
    field      = name { "." name } | "labels." '"' text '"'
    value      = word | time | '"' text '"' | "'" text "'"

In AIP-160 ``OR`` binds closer than ``AND``; in most languages it is the other way round. A filter that mixes both
without parentheses is refused, so nobody can read it either way. ``field:*`` asks whether the field has a value.
AND, OR and NOT may be written in any case.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NoReturn, TypeAlias

from jobyard_server.domain.job import LABELS_PREFIX
from jobyard_server.domain.reason import Reason, Violation, refuse

MAX_LENGTH: Final = 4096
MAX_TERMS: Final = 64
MAX_DEPTH: Final = 16


class Op(StrEnum):
    """How a field is compared. A field without a value equals nothing and is neither less nor greater."""

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    HAS = ":"
    """Contains the text."""
    HAS_ANY_CASE = "has_any_case"
    """Contains the text, whatever the case of ASCII letters."""
    IN = "in"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    IS_NULL = "is_null"


Scalar: TypeAlias = str | int | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """``field op value``; ``value`` is a tuple for IN and None for IS_NULL."""

    field: str
    op: Op
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds; true when empty."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Any:
    """At least one part holds; false when empty."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Expression


Expression: TypeAlias = Comparison | All | Any | Not

_TOKEN: Final = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<op><=|>=|!=|[=<>:])
      | (?P<bracket>[()])
      | (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d))
      | (?P<word>[^\s()=<>!:"']+)
    """,
    re.VERBOSE,
)
_SPACE: Final = re.compile(r"\s*")
_FIELD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*\Z")
_RESERVED: Final = frozenset({"AND", "OR", "NOT"})


def parse(text: str) -> Expression | None:
    """Read a filter; ``None`` for a blank one. Raises ``Refused`` (INVALID_FILTER) with the column of the mistake."""
    if not text.strip():
        return None
    if len(text) > MAX_LENGTH:
        _fail(f"is longer than {MAX_LENGTH} characters")
    return _Parser(text).whole()


def _fail(problem: str, column: int | None = None) -> NoReturn:
    where = {} if column is None else {"column": str(column)}
    raise refuse(Reason.INVALID_FILTER, f"filter: {problem}", Violation("filter", problem), **where)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int


class _Parser:
    """Recursive descent over the tokens."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokenise(text)
        self._at = 0
        self._terms = 0
        self._depth = 0

    def whole(self) -> Expression:
        found = self._or()
        if (token := self._peek()) is not None:
            _fail(f"unexpected {token.text!r} at column {token.column}", token.column)
        return found

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _take(self, what: str) -> _Token:
        token = self._peek()
        if token is None:
            _fail(f"ends where {what} is expected")
        self._at += 1
        return token

    def _keyword(self, word: str) -> bool:
        token = self._peek()
        if token is not None and token.kind == "word" and token.text.upper() == word:
            self._at += 1
            return True
        return False

    def _or(self) -> Expression:
        first, mixed = self._and()
        parts = [first]
        while self._keyword("OR"):
            part, conjunction = self._and()
            mixed = mixed or conjunction
            parts.append(part)
        if len(parts) == 1:
            return first
        if mixed:
            _fail("mixes AND and OR without parentheses")
        return Any(tuple(parts))

    def _and(self) -> tuple[Expression, bool]:
        """The conjunction, and whether it is one without parentheses around it."""
        first = self._unary()
        parts = [first]
        while (token := self._peek()) is not None and token.text.upper() not in ("OR", ")"):
            self._keyword("AND")
            parts.append(self._unary())
        return (All(tuple(parts)), True) if len(parts) > 1 else (first, False)

    def _unary(self) -> Expression:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            _fail(f"is nested deeper than {MAX_DEPTH}")
        if self._negation():
            found: Expression = Not(self._unary())
        elif (token := self._peek()) is not None and token.kind == "bracket" and token.text == "(":
            self._at += 1
            found = self._or()
            closing = self._take("')'")
            if closing.text != ")":
                _fail(f"expected ')' at column {closing.column}, found {closing.text!r}", closing.column)
        else:
            found = self._comparison()
        self._depth -= 1
        return found

    def _negation(self) -> bool:
        """Take ``NOT`` or the minus before a field or bracket, if one is next."""
        token = self._peek()
        if token is not None and token.kind == "word" and token.text.startswith("-") and len(token.text) > 1:
            self._tokens[self._at] = _Token("word", token.text[1:], token.column + 1)
            return True
        return self._keyword("NOT") or self._keyword("-")

    def _comparison(self) -> Comparison:
        self._terms += 1
        if self._terms > MAX_TERMS:
            _fail(f"has more than {MAX_TERMS} conditions")
        name = self._name()
        operator = self._take("an operator")
        if operator.kind != "op":
            _fail(f"expected an operator at column {operator.column}, found {operator.text!r}", operator.column)
        value = self._take("a value")
        if value.kind in ("op", "bracket"):
            _fail(f"expected a value at column {value.column}, found {value.text!r}", value.column)
        text = _unquoted(value.text) if value.kind == "text" else value.text
        return Comparison(name, Op(operator.text), text)

    def _name(self) -> str:
        """The field of a comparison."""
        name = self._take("a field")
        following = self._peek()
        if name.kind == "word" and name.text == LABELS_PREFIX and following is not None and following.kind == "text":
            self._at += 1
            return name.text + _unquoted(following.text)
        if name.kind != "word" or name.text.upper() in _RESERVED or not _FIELD.match(name.text):
            _fail(f"expected a field at column {name.column}, found {name.text!r}", name.column)
        return name.text


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _tokenise(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    stripped = text.rstrip()
    at = 0
    while at < len(stripped):
        # A match of spaces always exists; the type checker cannot know.
        at = found.end() if (found := _SPACE.match(stripped, at)) else at
        match = _TOKEN.match(stripped, at)
        if match is None or match.lastgroup is None:
            _fail(f"cannot be read at column {at + 1}", at + 1)
        tokens.append(_Token(match.lastgroup, match.group(), at + 1))
        at = match.end()
    return tokens
