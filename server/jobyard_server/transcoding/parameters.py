"""One parameter of a request: the field that it fills, and what its options say about odd values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from jobyard.rest.v1 import json_pb2
from jobyard_server.transcoding.codec.declared import is_map, is_raw
from jobyard_server.transcoding.codec.decode_fields import key_reader
from jobyard_server.transcoding.codec.dialect import Dialect
from jobyard_server.transcoding.codec.errors import CodecError
from jobyard_server.transcoding.fields import Way, message_of, owner_of
from jobyard_server.transcoding.values import ValueRefusedError, Write, item_writer, parser, writer

_F = FieldDescriptor


@dataclass(frozen=True, slots=True)
class Choice:
    """One field of a oneof."""

    owner: Callable[[Message], Message]
    oneof: str
    field: str

    def excluded(self, message: Message) -> bool:
        """Tell whether another field of the oneof is set."""
        return self.owner(message).WhichOneof(self.oneof) not in {None, self.field}


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
    octets: bool = False
    """It is given as bytes, a character each."""
    repeats: int = 0
    """A value of jobyard.rest.v1.Repeats."""
    choices: tuple[Choice, ...] = ()
    """The oneofs on the way, and which of their fields is taken."""

    @property
    def blank_is_none(self) -> bool:
        """Whether a blank is the same as no parameter at all."""
        return self.write_blank is _ignore

    def is_excluded(self, message: Message) -> bool:
        """Tell whether another field of a oneof was set already, from wherever in the request."""
        return any(each.excluded(message) for each in self.choices)

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
    octets: bool = False
    """Bytes are given as they are, a character each, and not as base64."""
    repeats: int = 0
    inside: int = 0
    """How many messages stand around the one where the way begins."""


def parameter(way: Way, label: str, dialect: Dialect, rules: Rules) -> Parameter | None:
    """Compile a parameter; None when no text can fill the field."""
    field = way[-1]
    if is_map(field):
        return None
    repeated = field.is_repeated
    octets = rules.octets and field.type == _F.TYPE_BYTES and not is_raw(field)
    if octets:
        write: Write | None = _octets_writer(field)
    else:
        text_writer = item_writer if repeated else writer
        write = text_writer(field, dialect, lenient=rules.lenient, depth=rules.inside + len(way))
    if write is None:
        return None
    return Parameter(
        label=label,
        way=way,
        owner=owner_of(way),
        write=write,
        write_blank=_blank_writer(field, write, _default_writer(field), rules.blank),
        repeated=repeated,
        commas=rules.commas and repeated and not octets,
        plus_literal=rules.plus_literal,
        octets=octets,
        repeats=rules.repeats,
        choices=_choices(way),
    )


def map_entry(way: Way, key: str, label: str, dialect: Dialect, rules: Rules) -> Parameter | None:
    """Compile the parameter of one entry of a map of single values: `labels[site]=a`."""
    field = way[-1]
    key_field, value_field = (message_of(field).fields_by_name[part] for part in ("key", "value"))
    if value_field.message_type is not None:
        return None
    read_key = key_reader(key_field)
    parse = parser(value_field, dialect, lenient=rules.lenient)
    name = field.name

    def keep(owner: Message, value: object) -> None:
        try:
            parsed_key = key if read_key is None else read_key(key)
        except CodecError as error:
            raise ValueRefusedError(str(error)) from error
        getattr(owner, name)[parsed_key] = value

    def write(owner: Message, text: str) -> None:
        keep(owner, parse(text))

    def write_default(owner: Message, _text: str) -> None:
        keep(owner, value_field.default_value)

    return Parameter(
        label=label,
        way=way,
        owner=owner_of(way),
        write=write,
        write_blank=_blank_writer(value_field, write, write_default, rules.blank),
        repeated=False,
        plus_literal=rules.plus_literal,
        repeats=rules.repeats,
        choices=_choices(way),
    )


def _octets_writer(field: FieldDescriptor) -> Write:
    name = field.name
    if field.is_repeated:
        return lambda owner, text: getattr(owner, name).append(text.encode("latin-1"))
    return lambda owner, text: setattr(owner, name, text.encode("latin-1"))


def _choices(way: Way) -> tuple[Choice, ...]:
    return tuple(
        Choice(owner_of(way[: depth + 1]), field.containing_oneof.name, field.name)
        for depth, field in enumerate(way)
        if field.containing_oneof is not None and len(field.containing_oneof.fields) > 1
    )


def _blank_writer(field: FieldDescriptor, write: Write, write_default: Write, blank: int) -> Write:
    """Decide what an empty value does: it is kept, refused, or the same as none."""
    if blank == json_pb2.BLANK_UNSET:
        return _ignore
    textual = field.cpp_type == _F.CPPTYPE_STRING and not is_raw(field)
    wrapped = field.message_type is not None and field.message_type.full_name == "google.protobuf.StringValue"
    if blank == json_pb2.BLANK_REJECT or (blank == json_pb2.BLANK_UNSPECIFIED and not (textual or wrapped)):
        return _refuse
    if textual or wrapped:
        return write
    return write_default


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
