"""Decoders: a JSON document, or one already parsed, into a message."""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from jobyard_server.transcoding.codec.declared import standalone
from jobyard_server.transcoding.codec.decode_fields import reader_of, takes_null
from jobyard_server.transcoding.codec.decode_messages import DecodePlans
from jobyard_server.transcoding.codec.decode_scalars import Read
from jobyard_server.transcoding.codec.dialect import PROTO3, Dialect
from jobyard_server.transcoding.codec.errors import CodecError
from jobyard_server.transcoding.codec.raw import Slicer
from jobyard_server.transcoding.codec.source import load


class Decoder:
    """Reads JSON into messages of one type."""

    def __init__(self, read: Read, slicer: Slicer, member: str = "") -> None:
        self._read = read
        self._slicer = slicer
        self._member = member

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
        if isinstance(parts, Message):
            message.MergeFrom(parts)
        else:
            # What a constructor does to a fresh message it also does to one that holds
            # something: it merges, in one call, without a second message in between.
            type(message).__init__(message, **parts)


@cache
def plans_of(dialect: Dialect) -> DecodePlans:
    """Give the plans of a dialect, the same ones every time."""
    return DecodePlans(dialect)


@cache
def compile_decoder(message: Descriptor, dialect: Dialect = PROTO3) -> Decoder:
    """Compile the decoder of a message type."""
    return Decoder(plans_of(dialect).of(message).read, Slicer(message, dialect))


@cache
def compile_field_decoder(field: FieldDescriptor, dialect: Dialect = PROTO3) -> Decoder:
    """Compile the decoder of documents that hold one field of the message that they are read into."""
    assert field.containing_type is not None
    member = standalone(field, dialect)
    read_value = reader_of(member, plans_of(dialect))
    nulls = takes_null(member)

    def read(value: Any, depth: int) -> dict[str, Any]:
        if value is None and not nulls:
            raise CodecError("must not be null")
        return {field.name: read_value(value, depth + 1)}

    return Decoder(read, Slicer(field.containing_type, dialect), member.name)
