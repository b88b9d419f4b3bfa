"""Encoders compiled from descriptors: a message into a tree, and the tree into a JSON document."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import orjson
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import DecodeError, EncodeError, Message
from google.protobuf.message_factory import GetMessageClass

from jobyard_server.transcoding.codec.declared import (
    COMPILING,
    Member,
    Words,
    shape_of,
    standalone,
    words_of,
)
from jobyard_server.transcoding.codec.decode_any import named_type, within
from jobyard_server.transcoding.codec.dialect import PROTO3, Dialect
from jobyard_server.transcoding.codec.encode_fields import (
    Plans,
    default_of,
    show_of,
)
from jobyard_server.transcoding.codec.encode_objects import object_show
from jobyard_server.transcoding.codec.encode_scalars import Show
from jobyard_server.transcoding.codec.encode_wellknown import well_known
from jobyard_server.transcoding.codec.errors import CodecError, too_deep
from jobyard_server.transcoding.codec.known import ANY, OWN_FORM
from jobyard_server.transcoding.codec.wire import COMPILED
from jobyard_server.transcoding.codec.wire.encode_plan import ObjectPrinters
from jobyard_server.transcoding.codec.wire.encode_values import ObjectPrinter


class MessagePlan:
    """How one message type is printed. Those that mention it hold it before it is finished."""

    __slots__ = ("show",)
    show: Show


class EncodePlans:
    """The plans of all message types of one dialect, made when first asked for."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._plans: dict[Descriptor, MessagePlan] = {}
        self._words: dict[EnumDescriptor, Words] = {}

    def of(self, message: Descriptor) -> MessagePlan:
        """Give the plan of a message type; others wait until a plan and all it needs are done."""
        with COMPILING:
            plan = self._plans.get(message)
            if plan is None:
                plan = self._plans[message] = MessagePlan()
                plan.show = self._show(message)
            return plan

    def words(self, enum: EnumDescriptor) -> Words:
        """Give the words of an enum."""
        with COMPILING:
            if enum not in self._words:
                self._words[enum] = words_of(enum, self.dialect)
            return self._words[enum]

    def _show(self, message: Descriptor) -> Show:
        if message.full_name == ANY:
            return any_show(self, message)
        own_form = well_known(message, self.dialect)
        if own_form is not None:
            return own_form
        shape = shape_of(message, self.dialect)
        return inline_show(shape.members, self, object_show(message, shape, self))


def inline_show(members: tuple[Member, ...], plans: Plans, ordinary: Show) -> Show:
    """Plan a message that may stand for one of its fields."""
    choices = {member.field: show_of(member, plans) for member in members if member.options.inline}
    if not choices:
        return ordinary
    # A message with nothing else to print is that field also when it is empty.
    alone = members[0] if len(members) == 1 and not members[0].field.has_presence else None

    def show(value: Any, depth: int) -> object:
        for field, held in value.ListFields():
            if field in choices:
                one = choices[field]
                return held if one is None else one(held, depth + 1)
        return ordinary(value, depth) if alone is None else default_of(alone, plans)()

    return show


def any_show(plans: Plans, any_: Descriptor) -> Show:
    """Plan google.protobuf.Any: the message in it, and its type."""
    pool = any_.file.pool
    limit = plans.dialect.depth

    def show(value: Any, depth: int) -> object:
        if not value.type_url and not value.value:
            return {}
        if depth >= limit:
            raise too_deep(limit)
        descriptor = named_type(value.type_url, pool)
        try:
            message = GetMessageClass(descriptor).FromString(value.value)
        except DecodeError:
            raise CodecError("does not hold what its type says") from None
        plan = plans.of(descriptor)
        if descriptor.full_name in OWN_FORM:
            return {"@type": value.type_url, "value": within("value", plan.show, message, depth + 1)}
        shown = plan.show(message, depth + 1)
        if not isinstance(shown, dict):
            return {"@type": value.type_url, "value": shown}
        return {"@type": value.type_url, **shown}

    return show


class Encoder:
    """Prints messages of one type as JSON."""

    def __init__(self, plan: Callable[[], Show], printer: Callable[[], ObjectPrinter | None]) -> None:
        """Print by what the plan gives, or by the printer of the short way.

        Both are asked for when there is something to print.
        """
        self._plan = plan
        self._show: Show = self._first
        self._printer = printer
        self._tree: Callable[[bytes], Any] | None = self._first_tree if COMPILED else None

    def _first(self, message: Any, depth: int) -> object:
        # A server knows hundreds of messages, and most of its runs print a dozen of them.
        with COMPILING:
            self._show = self._plan()
        return self._show(message, depth)

    def _first_tree(self, data: bytes) -> Any:
        with COMPILING:
            printer = self._printer()
            self._tree = None if printer is None else printer.tree
        return None if self._tree is None else self._tree(data)

    def __call__(self, message: Message) -> bytes:
        """Print a message as a JSON document."""
        return print_tree(self.tree(message))

    def tree(self, message: Message) -> Any:
        """Give the tree that would be printed, to be added to. It is the caller's own.

        Raw members stand in it as orjson.Fragment, so that only `print_tree` can print it.
        """
        tree = self._short(message)
        return self._show(message, 0) if tree is None else tree

    def _short(self, message: Message) -> Any:
        if self._tree is None:
            return None
        try:
            return self._tree(message.SerializePartialToString())
        except EncodeError:
            # It is nested deeper than protobuf goes; the long way says where.
            return None


def print_tree(tree: object) -> bytes:
    """Print a tree made by an encoder."""
    return orjson.dumps(tree)


@cache
def plans_of(dialect: Dialect) -> EncodePlans:
    """Give the plans of a dialect, the same ones every time."""
    return EncodePlans(dialect)


@cache
def printers_of(dialect: Dialect) -> ObjectPrinters:
    """Give the printers of a dialect's short way, the same ones every time."""
    return ObjectPrinters(plans_of(dialect))


@cache
def compile_encoder(message: Descriptor, dialect: Dialect = PROTO3) -> Encoder:
    """Compile the encoder of a message type."""
    return Encoder(lambda: plans_of(dialect).of(message).show, lambda: printers_of(dialect).of(message))


@cache
def compile_field_encoder(field: FieldDescriptor, dialect: Dialect = PROTO3) -> Encoder:
    """Compile the encoder that prints one field of the message it is given, and only that."""
    attribute = field.name

    def plan() -> Show:
        show = show_of(standalone(field, dialect), plans_of(dialect))
        if show is None:
            return lambda message, _depth: getattr(message, attribute)
        return lambda message, depth: show(getattr(message, attribute), depth)

    return Encoder(plan, lambda: None)
