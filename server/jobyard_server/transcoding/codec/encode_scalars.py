"""Values of scalar fields into JSON values, each in the one form that JSON has for it."""

from __future__ import annotations

import struct
from binascii import b2a_base64
from collections.abc import Callable
from math import copysign, isfinite, isnan
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from jobyard_server.transcoding.codec.declared import Member, Words, is_null
from jobyard_server.transcoding.codec.errors import CodecError
from jobyard_server.transcoding.codec.raw import fragment

# A value of a field into JSON, at the depth of the message around it.
Show = Callable[[Any, int], object]

TYPE = FieldDescriptor
WIDE = frozenset(
    {
        TYPE.TYPE_INT64,
        TYPE.TYPE_UINT64,
        TYPE.TYPE_SINT64,
        TYPE.TYPE_FIXED64,
        TYPE.TYPE_SFIXED64,
    }
)
# Whole doubles below this print all their digits, from here on with an exponent: neither has a fraction.
EXPONENT = 10**16
# Whole floats of at most six digits need no search for their shortest text.
SHORT = 1_000_000

_float = struct.Struct("<f")


def scalar_printer(member: Member, words: Words | None) -> Show | None:
    """Choose how one value of a scalar field is printed; nothing when JSON has it as it is."""
    field = member.field
    if member.options.raw:
        kind = member.options.raw
        return lambda value, _depth: fragment(value, kind)
    if words is not None:
        return null if is_null(field) else word_of(words)
    if field.type in WIDE:
        return None if member.number else digits_of
    others: dict[int, Show] = {
        TYPE.TYPE_BYTES: octets,
        TYPE.TYPE_DOUBLE: double,
        TYPE.TYPE_FLOAT: single,
    }
    return others.get(field.type)


def digits_of(value: int, _depth: int) -> str:
    """Print a number that JavaScript would round as text."""
    return str(value)


def null(_value: object, _depth: int) -> None:
    """Print the enum whose only value is null."""


def octets(value: bytes, _depth: int) -> str:
    """Print bytes as base64 with padding."""
    return b2a_base64(value, newline=False).decode()


def double(value: float, _depth: int) -> float | str:
    """Print a number of 64 bits, without a fraction when it has none."""
    if value.is_integer() and -EXPONENT < value < EXPONENT:
        return int(value) or zero(value)
    return value if isfinite(value) else infinity(value)


def single(value: float, depth: int) -> float | str:
    """Print a number of 32 bits with the fewest digits that bring it back."""
    if value.is_integer() and -SHORT < value < SHORT:
        return int(value) or zero(value)
    if not isfinite(value):
        return infinity(value)
    for digits in (6, 7, 8):
        short = float(f"{value:.{digits}g}")
        if same_single(short, value):
            return double(short, depth)
    return double(float(f"{value:.9g}"), depth)


def zero(value: float) -> float:
    """Print a zero, whose sign only a fraction can keep."""
    return value if is_minus_zero(value) else 0


def is_minus_zero(value: float) -> bool:
    """Tell the zero that is set: the negative one."""
    return copysign(1.0, value) < 0


def same_single(number: float, value: float) -> bool:
    """Tell whether a number rounds to the same 32 bits."""
    try:
        rounded: float = _float.unpack(_float.pack(number))[0]
    except OverflowError:
        return False
    return rounded == value


def infinity(value: float) -> str:
    """Name a number that JSON has no digits for."""
    if isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def word_of(words: Words) -> Show:
    """Print an enum by its words."""
    printed = words.printed
    if not words.declared:
        # A number that this program's enum does not know yet goes through as it is.
        return lambda number, _depth: printed.get(number, number)

    def show(number: int, _depth: int) -> str | None:
        word = printed.get(number)
        if word is None and number:
            raise CodecError(f"has the value {number}, which has no word here")
        return word

    return show


def key_printer(field: FieldDescriptor) -> Callable[[Any], str] | None:
    """Choose how the key of a map is printed, which JSON always spells as text; nothing when it is text."""
    if field.type == TYPE.TYPE_STRING:
        return None
    return boolean_key if field.type == TYPE.TYPE_BOOL else str


def boolean_key(key: object) -> str:
    """Print a key that is true or false."""
    return "true" if key else "false"
