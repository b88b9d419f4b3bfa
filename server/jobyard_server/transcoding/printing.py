"""Prints single fields as text, for headers, links and addresses, and tells which conditions hold."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from jobyard_server.transcoding.codec.declared import words_of
from jobyard_server.transcoding.codec.dialect import Dialect
from jobyard_server.transcoding.fields import Way, enum_number, enum_of, is_set, presence, reader, way
from jobyard_server.transcoding.percent import encode
from jobyard_server.transcoding.surface import DeclarationError
from jobyard_server.transcoding.wording import Slot, wording

_F = FieldDescriptor
_TIMES = frozenset({"google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask"})
_SINGLE: Final[dict[int, Callable[[str], object]]] = {
    **dict.fromkeys((_F.CPPTYPE_INT32, _F.CPPTYPE_INT64, _F.CPPTYPE_UINT32, _F.CPPTYPE_UINT64), int),
    **dict.fromkeys((_F.CPPTYPE_DOUBLE, _F.CPPTYPE_FLOAT), float),
    _F.CPPTYPE_BOOL: {"true": True, "false": False}.__getitem__,
}
"""Reads the values that are compared as what they are; others are as their text."""
REQUEST = "request."


class Asked(Protocol):
    """The HTTP request, as far as answers speak of it."""

    path: str
    """Its path, as it came."""
    query: str
    """Its query, as it came."""

    @property
    def public_url(self) -> str:
        """Scheme and host under which the server is reached from outside, without a slash at the end."""
        ...


@dataclass
class Exchange:
    """What an answer may depend on beside the response."""

    asked: Asked
    request: Message | None = None
    """The request message, once it is bound."""


Print = Callable[[Message, Exchange], str]
Holds = Callable[[Message, Exchange], bool]


def text_of(field: FieldDescriptor, dialect: Dialect) -> Callable[[Any], str]:
    """Compile what prints the value of a field that is not repeated."""
    if field.message_type is not None:
        if field.message_type.full_name not in _TIMES:
            raise DeclarationError(f"{field.full_name} is a message and has no text")
        return lambda value: str(value.ToJsonString())
    if field.cpp_type == _F.CPPTYPE_BOOL:
        return lambda value: "true" if value else "false"
    if field.cpp_type == _F.CPPTYPE_ENUM:
        printed = words_of(enum_of(field), dialect).printed
        return lambda value: printed.get(value, "" if value == 0 else str(value))
    if field.type == _F.TYPE_BYTES:
        return lambda value: b64encode(value).decode()
    return str


def field_text(steps: Way, dialect: Dialect) -> Callable[[Message], str]:
    """Compile what prints a field of a message; one that was not set prints nothing."""
    if steps[-1].is_repeated:
        raise DeclarationError(f"{steps[-1].full_name} is repeated and has no text")
    read, present, text = reader(steps), is_set(steps), text_of(steps[-1], dialect)
    if steps[-1].has_presence:
        return lambda message: text(read(message)) if present(message) else ""
    return lambda message: text(read(message))


@dataclass(frozen=True)
class Scope:
    """The messages that templates and conditions may speak of."""

    response: Descriptor
    request: Descriptor | None
    dialect: Dialect
    where: str
    """Whose options these are, for people."""

    def steps(self, path: str) -> tuple[bool, Way]:
        """Resolve a path; True when it is one of the request."""
        if path.startswith(REQUEST) and self.request is not None:
            return True, way(self.request, path.removeprefix(REQUEST), where=self.where)
        return False, way(self.response, path, where=self.where)

    def text(self, template: str, *, encoded: bool = False) -> Print:
        """Compile a template; with `encoded` its fields are percent-encoded unless written `{+field}`."""
        try:
            taken_apart = wording(template)
        except ValueError as error:
            raise DeclarationError(f"{self.where}: {error}") from error
        if not taken_apart.slots:
            plain = "".join(piece for piece in taken_apart.pieces if isinstance(piece, str))
            return lambda _message, _exchange: plain
        pieces = [
            piece if isinstance(piece, str) else self._slot(piece, encoded=encoded) for piece in taken_apart.pieces
        ]
        return lambda message, exchange: "".join(
            [piece if isinstance(piece, str) else piece(message, exchange) for piece in pieces]
        )

    def _slot(self, slot: Slot, *, encoded: bool) -> Print:
        if slot.name == "path":
            return lambda _message, exchange: exchange.asked.path
        if slot.name == "public_url":
            return lambda _message, exchange: exchange.asked.public_url
        of_request, steps = self.steps(slot.name)
        text = field_text(steps, self.dialect)
        if encoded and not slot.raw:
            plain = text

            def text(message: Message) -> str:
                return encode(plain(message))

        if of_request:
            return lambda _message, exchange: text(exchange.request) if exchange.request is not None else ""
        return lambda message, _exchange: text(message)

    def condition(self, when: str) -> Holds | None:
        """Compile a condition; None when there is none."""
        compiled = [self._part(part) for part in parts(when)]
        if not compiled:
            return None
        if len(compiled) == 1:
            return compiled[0]
        return lambda message, exchange: all(part(message, exchange) for part in compiled)

    def _part(self, part: Part) -> Holds:
        of_request, steps = self.steps(part.name)
        holds = presence(steps) if part.wanted is None else self._equals(steps, part.wanted)
        negated = part.negated

        def decide(message: Message, exchange: Exchange) -> bool:
            subject = exchange.request if of_request else message
            return (subject is not None and holds(subject)) is not negated

        return decide

    def _equals(self, steps: Way, wanted: str) -> Callable[[Message], bool]:
        field = steps[-1]
        read = reader(steps)
        if field.cpp_type == _F.CPPTYPE_ENUM:
            number = enum_number(enum_of(field), wanted, where=self.where)
            return lambda message: bool(read(message) == number)
        if field.is_repeated:
            raise DeclarationError(f"{self.where}: {field.full_name} is repeated and is compared with nothing")
        if field.cpp_type in _SINGLE:
            value = self._value(field, wanted)
            return lambda message: bool(read(message) == value)
        text = text_of(field, self.dialect)
        return lambda message: text(read(message)) == wanted

    def _value(self, field: FieldDescriptor, wanted: str) -> object:
        """Read what a field is compared with, as the field would hold it."""
        assert field.containing_type is not None
        holder = message_factory.GetMessageClass(field.containing_type)
        try:
            return getattr(holder(**{field.name: _SINGLE[field.cpp_type](wanted)}), field.name)
        except (KeyError, ValueError) as error:
            raise DeclarationError(f"{self.where}: {field.full_name} is never {wanted!r}") from error


@dataclass(frozen=True)
class Part:
    """One part of a condition."""

    name: str
    wanted: str | None
    """The text that the field is compared with. None: it is asked whether the field says anything."""
    negated: bool


def parts(when: str) -> list[Part]:
    """Take a condition apart."""
    found = []
    for text in filter(None, map(str.strip, when.split("&"))):
        name, equals, wanted = text.partition("=")
        negated = text.startswith("!") or name.endswith("!")
        found.append(Part(name.strip("! "), wanted.strip() if equals else None, negated))
    return found
