"""Binds the query, and forms that look like one, to the fields of a message, strictly as declared."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from jobyard.rest.v1 import annotations_pb2 as rest
from jobyard.rest.v1 import binding_pb2, face_pb2, json_pb2
from jobyard_server.transcoding.backend import Violation
from jobyard_server.transcoding.codec.declared import is_map, names_of
from jobyard_server.transcoding.codec.dialect import Dialect
from jobyard_server.transcoding.codec.known import OWN_FORM
from jobyard_server.transcoding.parameters import Parameter, Rules, map_entry, parameter
from jobyard_server.transcoding.percent import MalformedEncodingError, decode
from jobyard_server.transcoding.refusals import refused, shown, wrong_all
from jobyard_server.transcoding.values import ValueRefusedError

MOST_VIOLATIONS: Final = 16
_DEEPEST = 16
_MOST_NAMES_KEPT = 1024

Wrong = tuple[str, Violation]


@dataclass(frozen=True, slots=True)
class Manners:
    """How strictly parameters are taken."""

    unknown_ignored: bool
    blank: int
    most: int
    """Parameters in one query."""

    @classmethod
    def of(cls, face: face_pb2.Face, most: int) -> Manners:
        """Read them from a face."""
        return cls(face.unknown_query == json_pb2.STRICTNESS_IGNORE, face.blank, most)

    def for_form(self, message: Descriptor) -> Manners:
        """The same for a form: what it must not hold is for its message to say, as with any body."""
        unknown = message.GetOptions().Extensions[rest.object].unknown
        if not unknown:
            return self
        return replace(self, unknown_ignored=unknown == json_pb2.STRICTNESS_IGNORE)


class QueryTable:
    """The parameters of one message, by every name that a client may use.

    Names are compiled when first seen: a message may hold itself, so that they cannot be listed. Only names of fields
    are kept, not the keys of maps, and only so many, so that no client can fill the memory.
    """

    def __init__(
        self,
        message: Descriptor,
        dialect: Dialect,
        manners: Manners,
        *,
        taken: Container[tuple[str, ...]] = (),
        only_declared: bool = False,
        inside: int = 0,
        octets: bool = False,
    ) -> None:
        """Make a table without the `taken` fields, which are named by the ways to them.

        With `only_declared` it has those that say `query` themselves; `inside` counts the messages around this one.
        With `octets` bytes are given as they are, a character each.
        """
        self._dialect = dialect
        self._manners = manners
        self._taken = taken
        self._inside = inside
        self._octets = octets
        self._roots = {
            name: field
            for field in message.fields
            if (field.name,) not in taken and _bindable(field, only_declared=only_declared)
            for name in spellings(field, dialect)
        }
        self._known: dict[str, Parameter] = {}
        self.required = tuple(
            label(field, dialect) for field in dict.fromkeys(self._roots.values()) if _options(field).required
        )

    def __bool__(self) -> bool:
        return bool(self._roots)

    @property
    def fields(self) -> tuple[FieldDescriptor, ...]:
        """The fields of the message that parameters fill, those of nested messages not counted."""
        return tuple(dict.fromkeys(self._roots.values()))

    def find(self, name: str) -> Parameter | None:
        """Look a parameter up by the name in the request."""
        known = self._known.get(name)
        if known is not None:
            return known
        compiled = self._compile(name)
        if compiled is not None and "[" not in name and len(self._known) < _MOST_NAMES_KEPT:
            self._known[name] = compiled
        return compiled

    def bind(self, message: Message, raw: str) -> None:
        """Put the parameters of a query into the message; raises RequestRefused with everything wrong in it."""
        if not raw and not self.required:
            return
        pairs = [pair for pair in raw.split("&") if pair]
        if len(pairs) > self._manners.most:
            raise refused("QUERY_MALFORMED", f"the query has more than {self._manners.most} parameters")
        self.bind_pairs(message, _decoded(pairs))

    def bind_pairs(self, message: Message, pairs: Iterable[tuple[str, str, str]]) -> None:
        """Put named values into the message: name, value, and the value with `+` taken for what it is."""
        wrong: list[Wrong] = []
        seen: dict[str, str] = {}
        for name, value, with_plus in pairs:
            found = self.find(name)
            problem = (
                self._unknown(name)
                if found is None
                else _put(found, message, with_plus if found.plus_literal else value, seen)
            )
            if problem is not None:
                wrong.append(problem)
                if len(wrong) == MOST_VIOLATIONS:
                    break
        wrong += [_missing(name) for name in self.required if name not in seen]
        if wrong:
            raise wrong_all(wrong)

    def pairs(self, raw: str) -> list[tuple[str, str]]:
        """Give the parameters of a query that was bound, by the names that are printed."""
        named = ((self.find(name), value, literal) for name, value, literal in _decoded(raw.split("&")))
        return [
            (found.label, literal if found.plus_literal else value)
            for found, value, literal in named
            if found is not None
        ]

    def _unknown(self, name: str) -> Wrong | None:
        if self._manners.unknown_ignored:
            return None
        return "PARAMETER_UNKNOWN", Violation(shown(name), "is not a parameter of this method")

    def _compile(self, name: str) -> Parameter | None:
        plain, bracket, rest_of_name = name.partition("[")
        key = rest_of_name[:-1] if bracket and rest_of_name.endswith("]") else None
        if bracket and key is None:
            return None
        way = self._way(plain.split(".")) if plain not in self._roots else (self._roots[plain],)
        if way is None or is_map(way[-1]) != (key is not None):
            return None
        options = _options(way[-1])
        rules = Rules(
            blank=options.blank or self._manners.blank,
            lenient=options.lenient,
            commas=options.commas,
            plus_literal=options.plus == binding_pb2.PLUS_LITERAL,
            octets=self._octets,
            repeats=options.repeats,
            inside=self._inside,
        )
        shown_as = ".".join(label(step, self._dialect) for step in way)
        if key is None:
            return parameter(way, shown_as, self._dialect, rules)
        return map_entry(way, key, f"{shown_as}[{key}]", self._dialect, rules)

    def _way(self, names: list[str]) -> tuple[FieldDescriptor, ...] | None:
        if not 1 < len(names) <= _DEEPEST or names[0] not in self._roots:
            return None
        way = [self._roots[names[0]]]
        for name in names[1:]:
            around = way[-1].message_type
            if way[-1].is_repeated or around is None or around.full_name in OWN_FORM:
                return None
            step = _child(around, name, self._dialect)
            if step is None:
                return None
            way.append(step)
        return None if tuple(step.name for step in way) in self._taken else tuple(way)


def spellings(field: FieldDescriptor, dialect: Dialect) -> Iterator[str]:
    """Give every name under which a parameter is read, the one printed first."""
    options = _options(field)
    if options.name:
        yield options.name
    else:
        yield from names_of(field, dialect.naming)
    yield from options.also


def label(field: FieldDescriptor, dialect: Dialect) -> str:
    """Give the name of a parameter as errors and links print it."""
    return next(spellings(field, dialect))


def _decoded(pairs: list[str]) -> Iterator[tuple[str, str, str]]:
    for pair in pairs:
        name, _, value = pair.partition("=")
        try:
            literal = decode(value)
            spaced = decode(value.replace("+", " ")) if "+" in value else literal
            yield decode(name.replace("+", " ")), spaced, literal
        except MalformedEncodingError as error:
            raise refused("QUERY_MALFORMED", f"the query parameter {shown(name)!r}: {error}") from error


def _put(found: Parameter, message: Message, text: str, seen: dict[str, str]) -> Wrong | None:
    if not text and found.blank_is_none:
        return None
    if found.label in seen and not found.repeated:
        if found.repeats == binding_pb2.REPEATS_FIRST:
            return None
        same = found.repeats == binding_pb2.REPEATS_SAME and seen[found.label] == text
        if found.repeats != binding_pb2.REPEATS_LAST and not same:
            return "PARAMETER_REPEATED", Violation(
                found.label, "may be given only once", shown(text), shown(seen[found.label])
            )
    seen[found.label] = text
    if found.choices and found.is_excluded(message):
        return "PARAMETER_INVALID", Violation(found.label, "excludes another field that was given")
    try:
        found.put(message, text)
    except ValueRefusedError as error:
        return "PARAMETER_INVALID", Violation(found.label, str(error), shown(text))
    return None


def _missing(name: str) -> Wrong:
    return "PARAMETER_MISSING", Violation(name, "is required")


def _options(field: FieldDescriptor) -> binding_pb2.QueryBinding:
    return field.GetOptions().Extensions[rest.query]


def _bindable(field: FieldDescriptor, *, only_declared: bool) -> bool:
    known = field.GetOptions()
    declared = known.HasExtension(rest.query)
    if known.Extensions[rest.header].name or known.Extensions[rest.query].hidden:
        return False
    if only_declared or known.Extensions[rest.json].hidden:
        return declared
    return declared or known.Extensions[rest.json].on_input == json_pb2.ON_INPUT_UNSPECIFIED


def _child(message: Descriptor, name: str, dialect: Dialect) -> FieldDescriptor | None:
    for field in message.fields:
        if _bindable(field, only_declared=False) and name in spellings(field, dialect):
            return field
    return None
