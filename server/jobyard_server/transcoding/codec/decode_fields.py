"""One closure per field: the JSON value of a member into what the message takes for its field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from jobyard.rest.v1 import json_pb2
from jobyard_server.transcoding.codec.declared import Member, Words, is_map, is_null, map_fields
from jobyard_server.transcoding.codec.decode_scalars import (
    WHOLE_NUMBERS,
    Read,
    UnknownWordError,
    scalar_reader,
    text,
)
from jobyard_server.transcoding.codec.decode_wellknown import ticking
from jobyard_server.transcoding.codec.dialect import Dialect, Stray
from jobyard_server.transcoding.codec.errors import CodecError, kind_of, too_deep
from jobyard_server.transcoding.codec.known import TIMESTAMP, VALUE
from jobyard_server.transcoding.codec.times import UNIX_TICKS

TYPE = FieldDescriptor
KEYS_OF_BOOLS = {"true": True, "false": False}


class Plan(Protocol):
    """How one message type is read; finished after those that mention it."""

    read: Read


class Plans(Protocol):
    """The plans of all message types of one dialect."""

    dialect: Dialect

    def of(self, message: Descriptor) -> Plan:
        """Give the plan of a message type."""

    def words(self, enum: EnumDescriptor) -> Words:
        """Give the words of an enum."""


def reader_of(member: Member, plans: Plans) -> Read:
    """Plan a field."""
    if is_map(member.field):
        return map_reader(member, plans)
    if member.field.is_repeated:
        return list_reader(member, plans)
    return one_reader(member, plans)


def one_reader(member: Member, plans: Plans) -> Read:
    """Plan one value: that of the field, or of one item in its list or map."""
    message = member.field.message_type
    if message is None:
        read = scalar_reader(member, plans.words)
        if member.field.enum_type is None or plans.dialect.unknown_words is Stray.REJECT:
            return read
        return without_unknown_words(read)
    ticks = UNIX_TICKS.get(member.options.time)
    if ticks is not None and message.full_name == TIMESTAMP:
        return ticking(ticks)
    plan = plans.of(message)
    # Of a message on the way to itself there is only the promise of a reader.
    return getattr(plan, "read", None) or promised(plan)


def promised(plan: Plan) -> Read:
    """Read by a plan that is still being made."""

    def read(value: Any, depth: int) -> Any:
        return plan.read(value, depth)

    return read


def without_unknown_words(read: Read) -> Read:
    """Leave a field unset when its word is unknown."""

    def lenient(value: Any, depth: int) -> Any:
        try:
            return read(value, depth)
        except UnknownWordError:
            return None

    return lenient


def takes_null(member: Member) -> bool:
    """Tell the fields to which null is a value like any other, and not the same as absent."""
    if member.field.is_repeated or member.options.required:
        return False
    return null_is_value(member)


def null_is_value(member: Member) -> bool:
    """Tell whether one value of the field may be null."""
    message = member.field.message_type
    if message is not None:
        return bool(message.full_name == VALUE)
    return is_null(member.field) or member.options.raw == json_pb2.RAW_ANY


def list_reader(member: Member, plans: Plans) -> Read:
    """Plan a list."""
    read = one_reader(member, plans)
    skips = null_skipper(member)
    lenient = member.lenient

    def read_list(value: Any, depth: int) -> list[Any]:
        if value.__class__ is not list:
            if not lenient:
                raise CodecError(f"must be a list, not {kind_of(value)}")
            value = [value]
        out = []
        index = -1
        try:
            for item in value:
                index += 1
                if item is None and skips():
                    continue
                found = read(item, depth)
                if found is not None:
                    out.append(found)
        except CodecError as problem:
            problem.at(index)
            raise
        return out

    return text_list(read_list) if read is text else read_list


def text_list(read_list: Read) -> Read:
    """Take a list of strings as it is, after a look at each that costs less than reading it."""

    def read(value: Any, depth: int) -> Any:
        if value.__class__ is list and {item.__class__ for item in value} == {str}:
            return value
        return read_list(value, depth)

    return read


def null_skipper(member: Member) -> Callable[[], bool]:
    """Plan a null among the items of a list or a map: a value, skipped, or refused."""
    if member.options.drop_nulls:
        return lambda: True
    return (lambda: False) if null_is_value(member) else refuse_null


def refuse_null() -> bool:
    """Refuse a null where only values may stand."""
    raise CodecError("must not be null")


def map_reader(member: Member, plans: Plans) -> Read:
    """Plan a map."""
    key_of = key_reader(map_fields(member.field)[0])
    values = value_member(member)
    read = one_reader(values, plans)
    finish = finisher(values.field.message_type)
    skips = null_skipper(values)
    limit = plans.dialect.depth

    def read_map(value: Any, depth: int) -> dict[Any, Any]:
        if value.__class__ is not dict:
            raise CodecError(f"must be an object, not {kind_of(value)}")
        if depth >= limit and value:
            raise too_deep(limit)
        out = {}
        key = ""
        try:
            for key, item in value.items():
                if item is None and skips():
                    continue
                found = read(item, depth + 1)
                if found is not None:
                    held = key if key_of is None else key_of(key)
                    out[held] = found if finish is None else finish(found)
        except CodecError as problem:
            problem.under(key)
            raise
        return out

    return text_map(read_map, limit) if key_of is None and read is text else read_map


def text_map(read_map: Read, limit: int) -> Read:
    """Take a map of strings as it is, like a list of them."""

    def read(value: Any, depth: int) -> Any:
        if value.__class__ is dict and depth < limit and {item.__class__ for item in value.values()} == {str}:
            return value
        return read_map(value, depth)

    return read


def value_member(member: Member) -> Member:
    """Describe the values of a map, which have the options of the map."""
    return replace(member, field=map_fields(member.field)[1])


def finisher(message: Descriptor | None) -> Callable[[Any], Message] | None:
    """Plan the values of a map of messages, which must be messages already."""
    if message is None:
        return None
    make = GetMessageClass(message)
    return lambda parts: parts if isinstance(parts, Message) else make(**parts)


def key_reader(field: FieldDescriptor) -> Callable[[str], object] | None:
    """Plan the key of a map, which JSON always spells as text; nothing when it is text."""
    if field.type == TYPE.TYPE_STRING:
        return None
    if field.type == TYPE.TYPE_BOOL:
        return boolean_key
    low, high = WHOLE_NUMBERS[field.type]

    def whole(key: str) -> int:
        digits = key.removeprefix("-")
        # One spelling for each number, or two members could be the same entry.
        plain = digits.isascii() and digits.isdigit() and len(digits) <= 20
        if not plain or str(int(key)) != key or not low <= int(key) <= high:
            raise CodecError(f"must have a whole number from {low} to {high} as its key")
        return int(key)

    return whole


def boolean_key(key: str) -> bool:
    """Read a key that is true or false."""
    found = KEYS_OF_BOOLS.get(key)
    if found is None:
        raise CodecError("must have true or false as its key")
    return found
