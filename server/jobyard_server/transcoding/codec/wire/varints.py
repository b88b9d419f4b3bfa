"""What all bytes of protobuf's wire format are made of: numbers of seven bits a byte, and tags before values."""

from __future__ import annotations

from typing import Final

from librt.strings import BytesWriter
from mypy_extensions import i64, u8

VARINT: Final = 0
FIXED64: Final = 1
FRAMED: Final = 2
"""Bytes behind their length: text, messages, packed lists."""
FIXED32: Final = 5

DEEPEST: Final = 90
"""Protobuf's own parser stops at a hundred messages in each other; what comes near is for it to judge."""

Found = tuple[i64, i64, i64, i64]
"""A field as it was found: its tag, its value if that is a varint, and where the value begins and ends."""

_BELOW_SIGN: Final = 0x01FF_FFFF_FFFF_FFFF


class Unusual(Exception):  # noqa: N818 - nothing is wrong, it is only not for the short way
    """A value that needs a closer look than the short way takes."""


def write_varint(out: BytesWriter, number: i64) -> None:
    """Write a number of 64 bits; negative ones are two's complement and take ten bytes."""
    while number < 0 or number > 127:
        out.append(u8((number & 127) | 128))
        number = (number >> 7) & _BELOW_SIGN
    out.append(u8(number))


def width(number: i64) -> i64:
    """Count the bytes of a length."""
    bytes_: i64 = 1
    while number > 127:
        number >>= 7
        bytes_ += 1
    return bytes_


def write_framed(out: BytesWriter, tag: bytes, content: bytes) -> None:
    """Write bytes behind their tag and their length."""
    out.write(tag)
    write_varint(out, len(content))
    out.write(content)


def tag_of(number: int, wire_type: int) -> bytes:
    """Write what stands before the value of a field."""
    out = BytesWriter()
    write_varint(out, number << 3 | wire_type)
    return out.getvalue()


def varint(data: bytes, at: i64) -> tuple[i64, i64]:
    """Read a number of 64 bits, and say where it ends."""
    byte: i64 = data[at]
    at += 1
    if byte < 128:
        return byte, at
    number = byte & 127
    shift: i64 = 7
    while shift < 63:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7
    # Of the tenth byte one bit is left, which is the sign.
    byte = data[at]
    if byte > 1:
        raise Unusual
    return number | -byte << 63, at + 1


def next_field(data: bytes, at: i64) -> Found:
    """Find the field that begins here."""
    tag, start = varint(data, at)
    wire_type = tag & 7
    if wire_type == VARINT:
        value, end = varint(data, start)
        return tag, value, start, end
    if wire_type == FRAMED:
        length, start = varint(data, start)
        return tag, 0, start, start + length
    if wire_type == FIXED64:
        return tag, 0, start, start + 8
    if wire_type == FIXED32:
        return tag, 0, start, start + 4
    raise Unusual
