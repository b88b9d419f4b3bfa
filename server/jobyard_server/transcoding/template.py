"""Reads the path templates of google.api.http: what a route matches and which fields its segments fill.

The grammar, from google/api/http.proto, with two extensions marked (+):

    Template  = "/" [ Segments ] [ Verb ] ;            (+) "/" alone is the root
    Segments  = Segment { "/" Segment } ;
    Segment   = "*" | "**" | LITERAL | Variable ;      (+) segments may follow "**"
    Variable  = "{" FieldPath [ "=" Segments ] "}" ;
    FieldPath = IDENT { "." IDENT } ;
    Verb      = ":" LITERAL ;
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from jobyard_server.transcoding.percent import MalformedEncodingError, decode

ANY: Final = "*"
REST: Final = "**"

_IDENT_START = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_IDENT = _IDENT_START | frozenset("0123456789")
# pchar of RFC 3986 less the colon, which starts a verb, and less the star, which is a wildcard.
_LITERAL = _IDENT | frozenset("-.~!$&'()+,;=@%")


class TemplateError(ValueError):
    """A template that is not in the grammar; says where."""

    def __init__(self, template: str, column: int, problem: str) -> None:
        super().__init__(f"{template!r}: {problem} at column {column + 1}")
        self.column = column + 1


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a path: a literal, `*` or `**`."""

    text: str
    wildcard: bool

    @property
    def is_rest(self) -> bool:
        """Tell whether it is `**`."""
        return self.wildcard and self.text == REST


@dataclass(frozen=True, slots=True)
class Variable:
    """A field and the segments that fill it: from `start`, up to but without `end`."""

    field: tuple[str, ...]
    start: int
    end: int
    """Counted from the end of the template (0 or less) where a `**` comes before it."""
    single: bool
    """Exactly one segment: decoded whole. Several keep `%2F`, which is no separator."""


@dataclass(frozen=True, slots=True)
class Template:
    """A template taken apart."""

    text: str
    segments: tuple[Segment, ...]
    variables: tuple[Variable, ...]
    verb: str

    @property
    def shape(self) -> tuple[tuple[str, bool], ...]:
        """What it matches, whatever its variables are called."""
        return tuple((segment.text, segment.wildcard) for segment in self.segments)


def parse(text: str, *, wildcard_after_rest: bool = True) -> Template:
    """Take a template apart; raises TemplateError."""
    return _Parser(text, wildcard_after_rest=wildcard_after_rest).template()


class _Parser:
    """Recursive descent, one method a rule of the grammar."""

    def __init__(self, text: str, *, wildcard_after_rest: bool) -> None:
        self.text = text
        self.at = 0
        self.segments: list[Segment] = []
        self.spans: list[tuple[tuple[str, ...], int, int]] = []
        self.wildcard_after_rest = wildcard_after_rest
        self.seen_rest = False

    def template(self) -> Template:
        self.expect("/")
        if not self.done() and self.peek() != ":":
            self.parse_segments(inside=False)
        verb = self.parse_verb() if self.peek() == ":" else ""
        if not self.done():
            raise self.error(f"unexpected {self.peek()!r}")
        return Template(self.text, tuple(self.segments), self.variables(), verb)

    def parse_segments(self, *, inside: bool) -> None:
        while True:
            self.parse_segment(inside=inside)
            if self.peek() != "/":
                return
            self.at += 1

    def parse_segment(self, *, inside: bool) -> None:
        if self.peek() == "{":
            if inside:
                raise self.error("a variable inside a variable")
            self.parse_variable()
        elif self.peek() == "*":
            self.parse_wildcard()
        else:
            self.segments.append(Segment(self.parse_literal("a segment"), wildcard=False))

    def parse_wildcard(self) -> None:
        start = self.at
        rest = self.text.startswith(REST, self.at)
        if self.seen_rest and (rest or not self.wildcard_after_rest):
            raise self.error("a second ** is ambiguous" if rest else "a wildcard after **", start)
        self.seen_rest = self.seen_rest or rest
        self.at += 2 if rest else 1
        self.segments.append(Segment(REST if rest else ANY, wildcard=True))

    def parse_variable(self) -> None:
        opened = self.at
        self.expect("{")
        field = self.parse_field_path()
        if any(field == other for other, _, _ in self.spans):
            raise self.error(f"the variable {'.'.join(field)} twice", opened)
        start = len(self.segments)
        if self.peek() == "=":
            self.at += 1
            self.parse_segments(inside=True)
        else:
            if self.seen_rest and not self.wildcard_after_rest:
                raise self.error("a wildcard after **", opened)
            self.segments.append(Segment(ANY, wildcard=True))
        if self.peek() != "}":
            raise self.error("expected '}'")
        self.at += 1
        self.spans.append((field, start, len(self.segments)))

    def parse_field_path(self) -> tuple[str, ...]:
        names = [self.parse_ident()]
        while self.peek() == ".":
            self.at += 1
            names.append(self.parse_ident())
        return tuple(names)

    def parse_ident(self) -> str:
        start = self.at
        if self.peek() not in _IDENT_START:
            raise self.error("expected a field name")
        while self.peek() in _IDENT:
            self.at += 1
        return self.text[start : self.at]

    def parse_literal(self, what: str) -> str:
        start = self.at
        while self.peek() in _LITERAL:
            self.at += 1
        if start == self.at:
            raise self.error(f"expected {what}")
        try:
            return decode(self.text[start : self.at])
        except MalformedEncodingError as error:
            raise self.error(str(error), start) from error

    def parse_verb(self) -> str:
        self.expect(":")
        return self.parse_literal("a verb")

    def variables(self) -> tuple[Variable, ...]:
        count = len(self.segments)
        rest = next((i for i, segment in enumerate(self.segments) if segment.is_rest), count)
        return tuple(
            Variable(
                field,
                start if start <= rest else start - count,
                end if end <= rest else end - count,
                single=end - start == 1 and rest != start,
            )
            for field, start, end in self.spans
        )

    def peek(self) -> str:
        """Return the next character, or a NUL at the end: no rule takes that."""
        return self.text[self.at] if self.at < len(self.text) else "\0"

    def done(self) -> bool:
        return self.at >= len(self.text)

    def expect(self, char: str) -> None:
        if self.peek() != char:
            raise self.error(f"expected {char!r}")
        self.at += 1

    def error(self, problem: str, column: int | None = None) -> TemplateError:
        return TemplateError(self.text, self.at if column is None else column, problem)
