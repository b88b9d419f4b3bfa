"""Free JSON into google.protobuf.Struct, Value and ListValue.

Their Python classes need microseconds a value; writing the bytes that they are parsed from is many
times faster, and these three types have a wire format of a dozen lines.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.descriptor import Descriptor
from google.protobuf.message_factory import GetMessageClass
from librt.strings import BytesWriter, write_f64_le
from mypy_extensions import i64

from jobyard_server.transcoding.codec.decode_scalars import Read
from jobyard_server.transcoding.codec.errors import CodecError, free_json_too_deep, kind_of
from jobyard_server.transcoding.codec.known import LIST, STRUCT, VALUE
from jobyard_server.transcoding.codec.wire.varints import width, write_framed, write_varint

# What stands before a field: its number and whether bytes of a length or of a fixed size follow.
NUMBER: Final = b"\x11"
TEXT: Final = b"\x1a"
OBJECT: Final = b"\x2a"
ITEMS: Final = b"\x32"
FIRST: Final = b"\x0a"
SECOND: Final = b"\x12"
CONSTANTS: Final = {None: b"\x08\x00", False: b"\x20\x00", True: b"\x20\x01"}


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
        self._limit: i64 = limit

    def value(self, value: Any, depth: i64) -> bytes:
        """Write the content of a Value."""
        if value is None or isinstance(value, bool):
            return CONSTANTS[value]
        out = BytesWriter()
        if isinstance(value, str):
            write_framed(out, TEXT, value.encode())
        elif isinstance(value, dict):
            write_framed(out, OBJECT, self.struct(value, depth + 1))
        elif isinstance(value, list):
            write_framed(out, ITEMS, self.items(value, depth + 1))
        else:
            out.write(NUMBER)
            write_f64_le(out, float(value))
        return out.getvalue()

    def struct(self, value: Any, depth: i64) -> bytes:
        """Write the content of a Struct, whose entries are messages too and hold a Value each."""
        if not isinstance(value, dict):
            raise CodecError(f"must be an object, not {kind_of(value)}")
        if depth + 2 > self._limit and (value or depth > self._limit):
            raise free_json_too_deep(self._limit)
        members: dict[str, Any] = value
        out = BytesWriter()
        for name, item in members.items():
            key = name.encode()
            content = self.value(item, depth + 2)
            size: i64 = len(key)
            length: i64 = len(content)
            out.write(FIRST)
            write_varint(out, 2 + width(size) + size + width(length) + length)
            write_framed(out, FIRST, key)
            write_framed(out, SECOND, content)
        return out.getvalue()

    def items(self, value: Any, depth: i64) -> bytes:
        """Write the content of a ListValue."""
        if not isinstance(value, list):
            raise CodecError(f"must be a list, not {kind_of(value)}")
        if depth + 1 > self._limit and (value or depth > self._limit):
            raise free_json_too_deep(self._limit)
        out = BytesWriter()
        for item in value:
            write_framed(out, FIRST, self.value(item, depth + 1))
        return out.getvalue()
