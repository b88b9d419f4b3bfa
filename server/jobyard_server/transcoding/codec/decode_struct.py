"""Free JSON into google.protobuf.Struct, Value and ListValue.

Their Python classes need microseconds a value; writing the bytes that they are parsed from is many
times faster, and these three types have a wire format of a dozen lines.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.message_factory import GetMessageClass

from jobyard_server.transcoding.codec.decode_scalars import Read
from jobyard_server.transcoding.codec.errors import CodecError, kind_of, too_deep
from jobyard_server.transcoding.codec.known import LIST, STRUCT, VALUE

Write = Callable[[Any, int], bytes]

# What stands before a field: its number and whether bytes of a length or of a fixed size follow.
NULL = b"\x08\x00"
NUMBER = 0x11
TEXT = b"\x1a"
FALSE = b"\x20\x00"
TRUE = b"\x20\x01"
OBJECT = b"\x2a"
ITEMS = b"\x32"
FIRST = b"\x0a"
SECOND = b"\x12"

# Nearly all lengths are one byte; with what stands before them they are looked up, not built.
LENGTHS = tuple(bytes((length,)) for length in range(128))
TEXTS = tuple(TEXT + length for length in LENGTHS)
KEYS = tuple(FIRST + length for length in LENGTHS)
VALUES = tuple(SECOND + length for length in LENGTHS)

_number = Struct("<Bd").pack


def struct_reader(message: Descriptor, limit: int) -> Read | None:
    """Give the reader of one of the three types."""
    write_value, write_struct, write_items = writers(limit)
    parse = GetMessageClass(message).FromString
    write = {STRUCT: write_struct, LIST: write_items, VALUE: write_value}.get(message.full_name)
    if write is None:
        return None
    return lambda value, depth: parse(write(value, depth + 1))


def writers(limit: int) -> tuple[Write, Write, Write]:
    """Build the writers of Value, Struct and ListValue, which hold each other.

    Each gets the depth of the message that it writes. A Struct holds entries, which are messages
    too, and these hold a Value, two levels down.
    """

    def write_value(value: Any, depth: int) -> bytes:
        kind = value.__class__
        if kind is str:
            content = value.encode()
            length = len(content)
            return TEXTS[length] + content if length < 128 else TEXT + framed(content)
        if kind is float or kind is int:
            return _number(NUMBER, value)
        if value is None:
            return NULL
        if kind is bool:
            return TRUE if value else FALSE
        if kind is dict:
            return OBJECT + framed(write_struct(value, depth + 1))
        return ITEMS + framed(write_items(value, depth + 1))

    def write_struct(value: Any, depth: int) -> bytes:
        if value.__class__ is not dict:
            raise CodecError(f"must be an object, not {kind_of(value)}")
        if depth + 2 > limit and value:
            raise too_deep(limit)
        out = []
        for name, item in value.items():
            key = name.encode()
            content = write_value(item, depth + 2)
            size, length = len(key), len(content)
            if size + length < 120:
                out.append(KEYS[size + length + 4])
                out.append(KEYS[size])
                out.append(key)
                out.append(VALUES[length])
                out.append(content)
            else:
                out.append(FIRST + framed(FIRST + framed(key) + SECOND + framed(content)))
        return b"".join(out)

    def write_items(value: Any, depth: int) -> bytes:
        if value.__class__ is not list:
            raise CodecError(f"must be a list, not {kind_of(value)}")
        if depth + 1 > limit and value:
            raise too_deep(limit)
        return b"".join([FIRST + framed(write_value(item, depth + 1)) for item in value])

    return write_value, write_struct, write_items


def framed(content: bytes) -> bytes:
    """Write bytes with their length."""
    length = len(content)
    if length < 128:
        return LENGTHS[length] + content
    head = bytearray()
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    head.append(length)
    return head + content
