"""One parameter of a request: the field that it fills, and what its options say about odd values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from jobyard.rest.v1 import json_pb2
from jobyard_server.transcoding.codec.declared import is_map, is_raw
from jobyard_server.transcoding.codec.dialect import Dialect
from jobyard_server.transcoding.fields import Way, message_of, owner_of
from jobyard_server.transcoding.values import ValueRefusedError, Write, item_writer, parser, writer

_F = FieldDescriptor


@dataclass(frozen=True, slots=True, eq=False)
class Parameter:
    """What puts the text of one parameter into its message."""

    label: str
    """As errors and links spell it."""
    way: Way
    owner: Callable[[Message], Message]
    write: Write
    write_blank: Write
    repeated: bool
    commas: bool = False
    plus_literal: bool = False
    repeats: int = 0
    """A value of jobyard.rest.v1.Repeats."""
    choices: tuple[tuple[str, int], ...] = ()
    """The oneofs on the way, and which of their fields is taken."""

    def put(self, message: Message, text: str) -> None:
        """Parse one value and store it; raises ValueRefusedError."""
        owner = self.owner(message)
        if not text:
            self.write_blank(owner, text)
        elif self.commas:
            for part in text.split(","):
                self.write(owner, part)
        else:
            self.write(owner, text)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the options say about a parameter, whether of the query or a header."""

    blank: int
    lenient: bool = False
    commas: bool = False
    plus_literal: bool = False
    repeats: int = 0


def parameter(way: Way, label: str, dialect: Dialect, rules: Rules) -> Parameter | None:
    """Compile a parameter; None when no text can fill the field."""
    field = way[-1]
    if is_map(field):
        return None
    repeated = field.is_repeated
    write = (item_writer if repeated else writer)(field, dialect, lenient=rules.lenient)
    if write is None:
        return None
    return Parameter(
        label=label,
        way=way,
        owner=owner_of(way),
        write=write,
        write_blank=_blank_writer(field, write, rules.blank),
        repeated=repeated,
        commas=rules.commas and repeated,
        plus_literal=rules.plus_literal,
        repeats=rules.repeats,
        choices=_choices(way),
    )


def map_entry(way: Way, key: str, label: str, dialect: Dialect, rules: Rules) -> Parameter | None:
    """Compile the parameter of one entry of a map of single values: `labels[site]=a`."""
    field = way[-1]
    key_field, value_field = (message_of(field).fields_by_name[part] for part in ("key", "value"))
    if value_field.message_type is not None:
        return None
    try:
        parsed_key = parser(key_field, dialect)(key)
    except ValueRefusedError:
        return None
    parse = parser(value_field, dialect, lenient=rules.lenient)
    name = field.name

    def write(owner: Message, text: str) -> None:
        getattr(owner, name)[parsed_key] = parse(text)

    return Parameter(
        label=label,
        way=way,
        owner=owner_of(way),
        write=write,
        write_blank=_blank_writer(value_field, write, rules.blank),
        repeated=False,
        plus_literal=rules.plus_literal,
        repeats=rules.repeats,
        choices=_choices(way),
    )


def _choices(way: Way) -> tuple[tuple[str, int], ...]:
    return tuple(
        (".".join(step.name for step in way[:depth]) + "." + field.containing_oneof.name, field.number)
        for depth, field in enumerate(way)
        if field.containing_oneof is not None and len(field.containing_oneof.fields) > 1
    )


def _blank_writer(field: FieldDescriptor, write: Write, blank: int) -> Write:
    """Decide what an empty value does: it is kept, refused, or the same as none."""
    if blank == json_pb2.BLANK_UNSET:
        return _ignore
    textual = field.cpp_type == _F.CPPTYPE_STRING and not is_raw(field)
    wrapped = field.message_type is not None and field.message_type.full_name == "google.protobuf.StringValue"
    if blank == json_pb2.BLANK_REJECT or (blank == json_pb2.BLANK_UNSPECIFIED and not (textual or wrapped)):
        return _refuse
    if textual or wrapped:
        return write
    return _default_writer(field)


def _default_writer(field: FieldDescriptor) -> Write:
    name = field.name
    if field.is_repeated:
        return _refuse
    if field.message_type is not None:
        return lambda owner, _: getattr(owner, name).SetInParent()
    return lambda owner, _: setattr(owner, name, field.default_value)


def _ignore(_owner: Message, _text: str) -> None:
    pass


def _refuse(_owner: Message, _text: str) -> None:
    raise ValueRefusedError("must not be empty")
