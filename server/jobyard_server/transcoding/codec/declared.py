"""What the descriptors declare about JSON: names, options and enum words, resolved for a dialect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from threading import RLock

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from jobyard.rest.v1 import annotations_pb2, json_pb2
from jobyard_server.transcoding.codec.dialect import Dialect, Naming, Stray, Unset, unset_of
from jobyard_server.transcoding.codec.known import NULL_VALUE

COMPILING = RLock()
"""Held by whoever compiles a plan: protobuf gives every thread the same options message, and fills
in what it keeps of it while it is read, which two threads must not do at once."""


@dataclass(frozen=True, slots=True)
class Member:
    """One field as it appears in JSON."""

    field: FieldDescriptor
    name: str
    """The name printed, and the one that errors use."""
    spellings: tuple[str, ...]
    """Every name read, `name` first."""
    options: json_pb2.JsonField
    unset: Unset
    number: bool
    lenient: bool
    from_header: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """One message as it appears in JSON."""

    members: tuple[Member, ...]
    """The members on the wire, in the order of their declaration."""
    ignores_unknown: bool


@dataclass(frozen=True, slots=True)
class Words:
    """One enum as it appears in JSON."""

    printed: dict[int, str]
    read: dict[str, int]
    declared: bool
    """Words were declared, so numbers are refused and values without a word are not sent."""


def shape_of(message: Descriptor, dialect: Dialect) -> Shape:
    """Resolve a message's options against the dialect."""
    declared = message.GetOptions().Extensions[annotations_pb2.object]
    unknown = declared.unknown
    ignores = dialect.unknown_fields is Stray.IGNORE
    if unknown:
        ignores = unknown == json_pb2.STRICTNESS_IGNORE
    unset = unset_of(declared.unset) or dialect.unset
    members = (member_of(field, declared, unset, dialect) for field in message.fields)
    return Shape(tuple(member for member in members if not member.options.hidden), ignores)


def member_of(
    field: FieldDescriptor,
    message: json_pb2.JsonObject,
    unset: Unset,
    dialect: Dialect,
) -> Member:
    """Resolve a field's options against those of its message and the dialect."""
    known = field.GetOptions().Extensions
    options = known[annotations_pb2.json]
    spellings = (*names_of(field, dialect.naming), *options.also)
    return Member(
        field=field,
        name=spellings[0],
        spellings=tuple(dict.fromkeys(spellings)),
        options=options,
        unset=unset_of(options.unset) or unset,
        number=options.number or message.numbers,
        lenient=options.lenient or message.lenient,
        from_header=is_header(field),
    )


def is_header(field: FieldDescriptor) -> bool:
    """Tell a field that a header fills, and never the body."""
    declared = field.GetOptions().Extensions[annotations_pb2.header]
    return bool(declared.name) and not declared.in_body


def standalone(field: FieldDescriptor, dialect: Dialect) -> Member:
    """Resolve a field on its own, outside the plan of its message."""
    assert field.containing_type is not None
    declared = field.containing_type.GetOptions().Extensions[annotations_pb2.object]
    return member_of(field, declared, unset_of(declared.unset) or dialect.unset, dialect)


def names_of(field: FieldDescriptor, naming: Naming) -> Iterator[str]:
    """Give the name printed, then the others that are read."""
    if field.is_extension:
        yield f"[{field.full_name}]"
        return
    if naming is not Naming.PROTO:
        yield field.json_name
    if naming is not Naming.JSON:
        yield field.name


def readable(shape: Shape) -> Iterator[Member]:
    """Give the members that are read from a body; a field bound from a header is not."""
    for member in shape.members:
        if not member.from_header and not member.options.on_input:
            yield member


def words_of(enum: EnumDescriptor, dialect: Dialect) -> Words:
    """Collect an enum's words: those declared for the wire, else the names of its values."""
    printed: dict[int, str] = {}
    read: dict[str, int] = {}
    any_declared = False
    for value in enum.values:
        wires = value.GetOptions().Extensions[annotations_pb2.wire]
        if not wires:
            continue
        any_declared = True
        for wire in chosen(list(wires), dialect):
            if wire.word:
                printed.setdefault(value.number, wire.word)
                read.setdefault(wire.word, value.number)
            for word in wire.also:
                read.setdefault(word, value.number)
    if any_declared:
        return Words(printed, read, declared=True)
    for value in enum.values:
        printed.setdefault(value.number, value.name)
        read[value.name] = value.number
    return Words(printed, read, declared=False)


def chosen(wires: list[json_pb2.Wire], dialect: Dialect) -> list[json_pb2.Wire]:
    """Pick the words that count: those of an active profile, else those of none."""
    profiled = [wire for wire in wires if wire.profile and wire.profile in dialect.profiles]
    return profiled or [wire for wire in wires if not wire.profile]


def is_map(field: FieldDescriptor) -> bool:
    """Tell a map from a repeated message."""
    if not field.is_repeated or field.type != FieldDescriptor.TYPE_MESSAGE:
        return False
    return bool(message_of(field).GetOptions().map_entry)


def message_of(field: FieldDescriptor) -> Descriptor:
    """Give the message type of a field that holds messages."""
    message: Descriptor | None = field.message_type
    assert message is not None
    return message


def enum_of(field: FieldDescriptor) -> EnumDescriptor:
    """Give the enum of a field that holds one."""
    enum: EnumDescriptor | None = field.enum_type
    assert enum is not None
    return enum


def map_fields(field: FieldDescriptor) -> tuple[FieldDescriptor, FieldDescriptor]:
    """Give the key and the value of a map, as the fields of its entries."""
    fields = message_of(field).fields_by_name
    return fields["key"], fields["value"]


def is_raw(field: FieldDescriptor) -> bool:
    """Tell a field that holds JSON byte for byte."""
    return bool(field.GetOptions().Extensions[annotations_pb2.json].raw)


def is_null(field: FieldDescriptor) -> bool:
    """Tell the enum whose only value is JSON's null."""
    return field.enum_type is not None and field.enum_type.full_name == NULL_VALUE
