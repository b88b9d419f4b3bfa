"""google.protobuf.Struct, Value and ListValue into free JSON.

Read from their wire bytes, like decode_struct writes them: their Python classes answer four
questions a value, each of which costs as much as reading the whole value.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any, Final

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import EncodeError
from librt.strings import read_f64_le
from mypy_extensions import i64

from jobyard_server.transcoding.codec.encode_scalars import EXPONENT, zero
from jobyard_server.transcoding.codec.errors import CodecError, free_json_too_deep
from jobyard_server.transcoding.codec.known import LIST, STRUCT, VALUE
from jobyard_server.transcoding.codec.wire.varints import varint

# What stands before a field: its number and whether bytes of a length or of a fixed size follow.
NUMBER: Final = 0x11
TEXT: Final = 0x1A
OBJECT: Final = 0x2A
ITEMS: Final = 0x32
FIRST: Final = 0x0A
CONSTANTS: Final = {b"\x08\x00": None, b"\x20\x00": False, b"\x20\x01": True}


class UnknownFieldError(Exception):
    """Something in the bytes that these types do not declare."""


def struct_printer(message: Descriptor, limit: int) -> Callable[[Any, int], object] | None:
    """Give the printer of one of the three types."""
    reader = Reader(limit)
    read = {STRUCT: reader.struct, LIST: reader.items, VALUE: reader.value}.get(message.full_name)
    if read is None:
        return None

    def once(value: Any, depth: int) -> object:
        try:
            source = value.SerializeToString()
        except EncodeError:
            raise free_json_too_deep(limit) from None
        return read(source, 0, len(source), depth + 1)

    def show(value: Any, depth: int) -> object:
        try:
            return once(value, depth)
        except UnknownFieldError:
            known = type(value)()
            known.CopyFrom(value)
            known.DiscardUnknownFields()
            return once(known, depth)

    return show


class Reader:
    """Reads values no deeper than the limit: their bytes, from where to where, and the depth of their message."""

    __slots__ = ("_limit",)

    def __init__(self, limit: int) -> None:
        self._limit: i64 = limit

    def value(self, source: bytes, at: i64, end: i64, depth: i64) -> Any:
        """Read a Value."""
        if at == end:
            return None
        kind: i64 = source[at]
        if kind == NUMBER:
            if at + 9 == end:
                return number_of(read_f64_le(source, at + 1))
        elif kind in (TEXT, OBJECT, ITEMS):
            length, start = varint(source, at + 1)
            if start + length == end:
                if kind == TEXT:
                    return source[start:end].decode()
                if kind == OBJECT:
                    return self.struct(source, start, end, depth + 1)
                return self.items(source, start, end, depth + 1)
        elif source[at:end] in CONSTANTS:
            return CONSTANTS[source[at:end]]
        raise UnknownFieldError

    def struct(self, source: bytes, at: i64, end: i64, depth: i64) -> dict[str, Any]:
        """Read a Struct: entries, which are messages too, of a key and a value."""
        if depth > self._limit:
            raise free_json_too_deep(self._limit)
        out: dict[str, Any] = {}
        while at < end:
            if source[at] != FIRST:
                raise UnknownFieldError
            length, start = varint(source, at + 1)
            at = start + length
            length, start = varint(source, start + 1)
            behind = start + length
            name = source[start:behind].decode()
            length, start = varint(source, behind + 1)
            if start + length != at:
                raise UnknownFieldError
            # Most values are text, and most are short.
            if length > 1 and source[start] == TEXT and source[start + 1] == length - 2 < 128:
                out[name] = source[start + 2 : at].decode()
            else:
                out[name] = self.value(source, start, at, depth + 2)
        return out

    def items(self, source: bytes, at: i64, end: i64, depth: i64) -> list[Any]:
        """Read a ListValue."""
        if depth > self._limit:
            raise free_json_too_deep(self._limit)
        out: list[Any] = []
        while at < end:
            if source[at] != FIRST:
                raise UnknownFieldError
            length, start = varint(source, at + 1)
            at = start + length
            out.append(self.value(source, start, at, depth + 1))
        return out


def number_of(number: float) -> int | float:
    """Print a number, without a fraction when it has none."""
    if number.is_integer() and -EXPONENT < number < EXPONENT:
        return int(number) or zero(number)
    if isfinite(number):
        return number
    raise CodecError("holds a number that JSON has no digits for")
