"""One closure per field: what a message holds into the JSON value of a member."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from google.protobuf.descriptor import Descriptor, EnumDescriptor

from jobyard_server.transcoding.codec.declared import Member, Words, is_map, map_fields
from jobyard_server.transcoding.codec.decode_fields import value_member
from jobyard_server.transcoding.codec.dialect import Dialect, Unset
from jobyard_server.transcoding.codec.encode_scalars import Show, key_printer, scalar_printer
from jobyard_server.transcoding.codec.encode_wellknown import timestamp
from jobyard_server.transcoding.codec.errors import CodecError
from jobyard_server.transcoding.codec.known import (
    DURATION,
    LIST,
    MASK,
    STATUS,
    TIMESTAMP,
    VALUE,
    WRAPPERS,
)


class Plan(Protocol):
    """How one message type is printed; finished after those that mention it."""

    show: Show


class Plans(Protocol):
    """The plans of all message types of one dialect."""

    dialect: Dialect

    def of(self, message: Descriptor) -> Plan:
        """Give the plan of a message type."""

    def words(self, enum: EnumDescriptor) -> Words:
        """Give the words of an enum."""


def show_of(member: Member, plans: Plans) -> Show | None:
    """Plan the value of a field; nothing when JSON has it as it is."""
    if is_map(member.field):
        return show_map(member, plans)
    one = show_one(member, plans)
    return show_list(one) if member.field.is_repeated else one


def show_one(member: Member, plans: Plans) -> Show | None:
    """Plan one value: that of the field, or of one item in its list or map."""
    message = member.field.message_type
    if message is None:
        return show_scalar(member, plans)
    if message.full_name == TIMESTAMP:
        return timestamp(member.options.time)
    print_status = plans.dialect.print_status
    if member.options.as_error and print_status is not None and message.full_name == STATUS:
        return lambda value, _depth: print_status(value)
    plan = plans.of(message)
    # Of a message on the way to itself there is only the promise of a printer.
    return getattr(plan, "show", None) or promised(plan)


def promised(plan: Plan) -> Show:
    """Print by a plan that is still being made."""

    def show(value: Any, depth: int) -> object:
        return plan.show(value, depth)

    return show


def show_scalar(member: Member, plans: Plans) -> Show | None:
    """Plan one scalar value."""
    enum = member.field.enum_type
    return scalar_printer(member, None if enum is None else plans.words(enum))


def show_list(one: Show | None) -> Show:
    """Plan a list."""
    if one is None:
        return lambda value, _depth: value[:]

    def show(value: Any, depth: int) -> list[object]:
        out: list[object] = []
        add = out.append
        try:
            for item in value:
                add(one(item, depth))
        except CodecError as problem:
            problem.at(len(out))
            raise
        return out

    return show


def show_map(member: Member, plans: Plans) -> Show:
    """Plan a map."""
    key_of = key_printer(map_fields(member.field)[0])
    one = show_one(value_member(member), plans)
    if key_of is None and one is None:
        return lambda value, _depth: {key: value[key] for key in value}

    def show(value: Any, depth: int) -> dict[str, object]:
        out: dict[str, object] = {}
        name = ""
        try:
            for held, item in value.items():
                name = held if key_of is None else key_of(held)
                out[name] = item if one is None else one(item, depth + 1)
        except CodecError as problem:
            problem.under(name)
            raise
        return out

    return show


def fallback_of(member: Member, plans: Plans) -> Callable[[], object] | None:
    """Plan what a field prints as when it is not set; nothing when it is left out."""
    field = member.field
    if member.unset is Unset.OMIT:
        return None
    if field.has_presence and member.unset is Unset.ALWAYS:
        return None
    if field.has_presence and member.unset is Unset.NULL:
        return lambda: None
    return default_of(member, plans)


def default_of(member: Member, plans: Plans) -> Callable[[], object]:
    """Plan what the default of a field prints as."""
    if member.field.is_repeated:
        return dict if is_map(member.field) else list
    message = member.field.message_type
    if message is None:
        show = show_scalar(member, plans)
        zero = member.field.default_value
        return lambda: zero if show is None else show(zero, 0)
    if message.full_name in WRAPPERS:
        wrapped = message.fields_by_name["value"].default_value
        return lambda: plans.of(message).show(Wrapped(wrapped), 0)
    if message.full_name in (TIMESTAMP, DURATION, VALUE):
        return lambda: None
    if message.full_name == MASK:
        return str
    return list if message.full_name == LIST else dict


class Wrapped:
    """Stands for an unset wrapper, whose default is that of the scalar in it."""

    def __init__(self, value: object) -> None:
        self.value = value
