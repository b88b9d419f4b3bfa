"""Decoders: a JSON document, or one already parsed, into a message."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from jobyard_server.transcoding.codec.declared import COMPILING, is_map, map_fields, standalone
from jobyard_server.transcoding.codec.decode_fields import reader_of, takes_null
from jobyard_server.transcoding.codec.decode_messages import DecodePlans
from jobyard_server.transcoding.codec.decode_scalars import Read
from jobyard_server.transcoding.codec.dialect import PROTO3, Dialect
from jobyard_server.transcoding.codec.errors import CodecError
from jobyard_server.transcoding.codec.raw import Slicer, target_of
from jobyard_server.transcoding.codec.source import load
from jobyard_server.transcoding.codec.wire import COMPILED
from jobyard_server.transcoding.codec.wire.decode_plan import ObjectWriters
from jobyard_server.transcoding.codec.wire.decode_values import ObjectWriter

Wire = Callable[[Any, int], bytes | None]
"""The short way: a tree at a depth into wire bytes; None where the long way has to be taken."""


class Decoder:
    """Reads JSON into messages of one type."""

    def __init__(
        self,
        plan: Callable[[], Read],
        writer: Callable[[], ObjectWriter | None],
        slicer: Slicer,
        into: Descriptor | None,
        *,
        member: str = "",
        field: str = "",
    ) -> None:
        """Read into messages of the type `into`, or into a field of them; that field may be a message itself.

        The plan, and the writer of the short way, are asked for when there is something to read.
        """
        self._plan = plan
        self._read: Read = self._first
        self._writer = writer
        self._wire: Wire = self._first_wire if COMPILED else no_wire
        self._slicer = slicer
        self._member = member
        self._field = field
        self._maps = () if into is None else tuple(each.name for each in into.fields if is_plain_map(each))

    def _first(self, tree: Any, depth: int) -> Any:
        # A server knows hundreds of messages, and most of its runs read a dozen of them.
        with COMPILING:
            self._read = self._plan()
        return self._read(tree, depth)

    def _first_wire(self, tree: Any, depth: int) -> bytes | None:
        with COMPILING:
            writer = self._writer()
            self._wire = no_wire if writer is None else writer.wire
        return self._wire(tree, depth)

    def __call__(self, source: bytes, message: Message) -> None:
        """Parse a JSON document and merge what it says into the message."""
        tree = load(source)
        if self._member:
            # Slices are found by the message around the member, so it is put back around it.
            around = {self._member: tree}
            sliced = self._slicer.graft(b"{%b:%b}" % (orjson.dumps(self._member), source), around)
            tree = around[self._member]
        else:
            sliced = self._slicer.graft(source, tree)
        wire = self._wire(tree, 1 if self._member else 0) if sliced else None
        if wire is not None:
            self._into(message).MergeFromString(wire)
            return
        self._merge(tree, message)
        if not sliced:
            raise CodecError("cannot be read")

    def tree(self, tree: object, message: Message) -> None:
        """Merge what a parsed document says, from JSON, YAML or wherever: it is read as what it prints as."""
        try:
            source = orjson.dumps(tree)
        except TypeError:
            raise CodecError("holds something that JSON has no form for, or is nested too deep") from None
        self(source, message)

    def _merge(self, tree: Any, message: Message) -> None:
        parts = self._read(tree, 0)
        message = self._into(message)
        if isinstance(parts, Message):
            message.MergeFrom(parts)
            return
        maps = [(name, parts.pop(name)) for name in self._maps if name in parts]
        # What a constructor does to a fresh message it also does to one that holds
        # something: it merges, in one call, without a second message in between.
        type(message).__init__(message, **parts)
        for name, held in maps:
            # Only for maps it takes a long way round.
            into = getattr(message, name)
            for key, value in held.items():
                into[key] = value

    def _into(self, message: Message) -> Message:
        """Give the message that is read into: the one that was given, or that in its field."""
        if not self._field:
            return message
        inner: Message = getattr(message, self._field)
        inner.SetInParent()
        return inner


def no_wire(_tree: Any, _depth: int) -> None:
    """Take the long way with everything."""


@cache
def plans_of(dialect: Dialect) -> DecodePlans:
    """Give the plans of a dialect, the same ones every time."""
    return DecodePlans(dialect)


def is_plain_map(field: FieldDescriptor) -> bool:
    """Tell a map whose values are no messages."""
    return is_map(field) and map_fields(field)[1].message_type is None


@cache
def writers_of(dialect: Dialect) -> ObjectWriters:
    """Give the writers of a dialect's short way, the same ones every time."""
    return ObjectWriters(plans_of(dialect))


@cache
def compile_decoder(message: Descriptor, dialect: Dialect = PROTO3) -> Decoder:
    """Compile the decoder of a message type."""
    plans = plans_of(dialect)
    with COMPILING:
        plans.check(message)
        slicer = Slicer(message, dialect)
    return Decoder(lambda: plans.of(message).read, lambda: writers_of(dialect).of(message), slicer, message)


@cache
def compile_field_decoder(field: FieldDescriptor, dialect: Dialect = PROTO3) -> Decoder:
    """Compile the decoder of documents that hold one field of the message that they are read into."""
    assert field.containing_type is not None
    plans = plans_of(dialect)
    with COMPILING:
        member = standalone(field, dialect)
        nulls = takes_null(member)
        slicer = Slicer(field.containing_type, dialect)
        target = target_of(member)
        if target is not None:
            plans.check(target)
    whole = field.message_type if not field.is_repeated else None

    def plan() -> Read:
        read_value = reader_of(member, plans)

        def read(value: Any, depth: int) -> Any:
            if value is None and not nulls:
                raise CodecError("must not be null")
            found = read_value(value, depth + 1)
            return found if whole is not None else {field.name: found}

        return read

    def writer() -> ObjectWriter | None:
        return None if whole is None else writers_of(dialect).of(whole)

    return Decoder(plan, writer, slicer, whole, member=member.name, field=field.name if whole is not None else "")
