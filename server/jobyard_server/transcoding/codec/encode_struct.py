"""google.protobuf.Struct, Value and ListValue into free JSON.

Read from their wire bytes, like decode_struct writes them: their Python classes answer four
questions a value, each of which costs as much as reading the whole value.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from struct import Struct
from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import EncodeError

from jobyard_server.transcoding.codec.encode_scalars import EXACT
from jobyard_server.transcoding.codec.errors import CodecError, too_deep
from jobyard_server.transcoding.codec.known import LIST, STRUCT, VALUE

# The bytes, where the message in them begins and ends, and its depth, into JSON.
Read = Callable[[bytes, int, int, int], Any]

NULL = 0x08
NUMBER = 0x11
TEXT = 0x1A
TRUTH = 0x20
OBJECT = 0x2A
ITEMS = 0x32
FIRST = 0x0A

_number = Struct("<d").unpack_from


class UnknownFieldError(Exception):
    """Something in the bytes that these types do not declare."""


def struct_printer(message: Descriptor, limit: int) -> Callable[[Any, int], object] | None:
    """Give the printer of one of the three types."""
    read_value, read_struct, read_items = readers(limit)
    read = {STRUCT: read_struct, LIST: read_items, VALUE: read_value}.get(message.full_name)
    if read is None:
        return None

    def show(value: Any, depth: int) -> object:
        try:
            source = value.SerializeToString()
            return read(source, 0, len(source), depth + 1)
        except UnknownFieldError:
            known = type(value)()
            known.CopyFrom(value)
            known.DiscardUnknownFields()
            return show(known, depth)
        except EncodeError:
            raise too_deep(limit) from None

    return show


def readers(limit: int) -> tuple[Read, Read, Read]:
    """Build the readers of Value, Struct and ListValue, which hold each other.

    Each gets the depth of the message that it reads. The entries of a Struct are messages too.
    """

    def read_value(source: bytes, at: int, end: int, depth: int) -> Any:
        if at == end:
            return None
        kind = source[at]
        if kind == TEXT:
            length, start = source[at + 1], at + 2
            if length > 127:
                length, start = length_at(source, at + 1)
            if start + length != end:
                raise UnknownFieldError
            return source[start:end].decode()
        if kind == NUMBER and at + 9 == end:
            number = _number(source, at + 1)[0]
            if number.is_integer() and -EXACT < number < EXACT:
                return int(number) or number
            if isfinite(number):
                return number
            raise CodecError("holds a number that JSON has no digits for")
        if kind in (TRUTH, NULL) and at + 2 == end:
            return source[at + 1] == 1 if kind == TRUTH else None
        if kind not in (OBJECT, ITEMS):
            raise UnknownFieldError
        length, start = length_at(source, at + 1)
        if start + length != end:
            raise UnknownFieldError
        read = read_struct if kind == OBJECT else read_items
        return read(source, start, end, depth + 1)

    def read_struct(source: bytes, at: int, end: int, depth: int) -> dict[str, Any]:
        if depth > limit:
            raise too_deep(limit)
        out = {}
        while at < end:
            # The entry, the key in it, and the value behind that, each with its length.
            if source[at] != FIRST:
                raise UnknownFieldError
            length, start = source[at + 1], at + 2
            if length > 127:
                length, start = length_at(source, at + 1)
            at = start + length
            length, start = source[start + 1], start + 2
            if length > 127:
                length, start = length_at(source, start - 1)
            behind = start + length
            name = source[start:behind].decode()
            length, start = source[behind + 1], behind + 2
            if length > 127:
                length, start = length_at(source, behind + 1)
            if start + length != at:
                raise UnknownFieldError
            out[name] = read_value(source, start, at, depth + 2)
        return out

    def read_items(source: bytes, at: int, end: int, depth: int) -> list[Any]:
        if depth > limit:
            raise too_deep(limit)
        out = []
        while at < end:
            if source[at] != FIRST:
                raise UnknownFieldError
            length, start = length_at(source, at + 1)
            at = start + length
            out.append(read_value(source, start, at, depth + 1))
        return out

    return read_value, read_struct, read_items


def length_at(source: bytes, at: int) -> tuple[int, int]:
    """Read a length, and say where it ends."""
    length = source[at]
    at += 1
    if length < 128:
        return length, at
    length &= 127
    shift = 7
    while True:
        byte = source[at]
        at += 1
        length |= (byte & 127) << shift
        if byte < 128:
            return length, at
        shift += 7
