"""Free JSON into google.protobuf.Struct, Value and ListValue.

Their Python classes need microseconds a value; writing the bytes that they are parsed from is many
times faster, and these three types have a wire format of a dozen lines.
"""

from __future__ import annotations

from struct import Struct
from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.message_factory import GetMessageClass

from jobyard_server.transcoding.codec.decode_scalars import Read
from jobyard_server.transcoding.codec.errors import CodecError, free_json_too_deep, kind_of
from jobyard_server.transcoding.codec.known import LIST, STRUCT, VALUE

# What stands before a field: its number and whether bytes of a length or of a fixed size follow.
NUMBER = 0x11
TEXT = b"\x1a"
OBJECT = b"\x2a"
ITEMS = b"\x32"
FIRST = b"\x0a"
SECOND = b"\x12"
CONSTANTS = {None: b"\x08\x00", False: b"\x20\x00", True: b"\x20\x01"}

# Nearly all lengths are one byte; with what stands before them they are looked up, not built.
LENGTHS = tuple(bytes((length,)) for length in range(128))
TEXTS = tuple(TEXT + length for length in LENGTHS)
KEYS = tuple(FIRST + length for length in LENGTHS)
VALUES = tuple(SECOND + length for length in LENGTHS)
TEXT_VALUES = tuple(SECOND + bytes((length + 2,)) + TEXT + bytes((length,)) for length in range(126))

_number = Struct("<Bd").pack


def struct_reader(message: Descriptor, limit: int) -> Read | None:
    """Give the reader of one of the three types."""
    writer = Writer(limit)
    parse = GetMessageClass(message).FromString
    write = {STRUCT: writer.struct, LIST: writer.items, VALUE: writer.value}.get(message.full_name)
    if write is None:
        return None
    return lambda value, depth: parse(write(value, depth + 1))


class Writer:
    """Writes values no deeper than the limit; each comes with the depth of the message that it becomes."""

    __slots__ = ("_limit",)

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def value(self, value: Any, depth: int) -> bytes:
        """Write the content of a Value."""
        if isinstance(value, str):
            content: bytes = value.encode()
            length = len(content)
            return TEXTS[length] + content if length < 128 else TEXT + framed(content)
        if isinstance(value, dict):
            return OBJECT + framed(self.struct(value, depth + 1))
        if isinstance(value, list):
            return ITEMS + framed(self.items(value, depth + 1))
        return CONSTANTS[value] if value is None or isinstance(value, bool) else _number(NUMBER, value)

    def struct(self, value: Any, depth: int) -> bytes:
        """Write the content of a Struct, whose entries are messages too and hold a Value each."""
        if not isinstance(value, dict):
            raise CodecError(f"must be an object, not {kind_of(value)}")
        if depth + 2 > self._limit and (value or depth > self._limit):
            raise free_json_too_deep(self._limit)
        out: list[bytes] = []
        for name, item in value.items():
            key: bytes = name.encode()
            # Most values are text, and most are short.
            text = isinstance(item, str)
            content: bytes = item.encode() if text else self.value(item, depth + 2)
            size, length = len(key), len(content)
            if size + length > 115:
                whole = TEXT + framed(content) if text else content
                out.append(FIRST + framed(FIRST + framed(key) + SECOND + framed(whole)))
                continue
            out.append(KEYS[size + length + (6 if text else 4)])
            out.append(KEYS[size])
            out.append(key)
            out.append(TEXT_VALUES[length] if text else VALUES[length])
            out.append(content)
        return b"".join(out)

    def items(self, value: Any, depth: int) -> bytes:
        """Write the content of a ListValue."""
        if not isinstance(value, list):
            raise CodecError(f"must be a list, not {kind_of(value)}")
        if depth + 1 > self._limit and (value or depth > self._limit):
            raise free_json_too_deep(self._limit)
        return b"".join([FIRST + framed(self.value(item, depth + 1)) for item in value])


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
    return bytes(head) + content
