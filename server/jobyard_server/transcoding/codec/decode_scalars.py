"""JSON scalars into the Python values that protobuf takes for them, refusing what does not fit."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
import orjson
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from jobyard.rest.v1 import json_pb2
from jobyard_server.transcoding.codec.declared import Member, Words, enum_of, is_null
from jobyard_server.transcoding.codec.errors import CodecError, kind_of, shorten

# A JSON value into what the message's constructor takes for it. The depth is that of the message
# around the value; a nested message counts from there. A result of None leaves the field unset.
Read = Callable[[Any, int], Any]

TYPE = FieldDescriptor
WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)")
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
WORDS_OF_FLOATS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
URL_SAFE = str.maketrans("-_", "+/")
LONGEST_NUMBER = 64
MOST_DIGITS = 24
MOST_WORDS = 12
# Halfway between the largest float and the next one that there would be.
FLOAT_LIMIT = float.fromhex("0x1.ffffffp+127")

INT32 = (-(1 << 31), (1 << 31) - 1)
INT64 = (-(1 << 63), (1 << 63) - 1)
UINT32 = (0, (1 << 32) - 1)
UINT64 = (0, (1 << 64) - 1)

WHOLE_NUMBERS = {
    TYPE.TYPE_INT32: INT32,
    TYPE.TYPE_SINT32: INT32,
    TYPE.TYPE_SFIXED32: INT32,
    TYPE.TYPE_INT64: INT64,
    TYPE.TYPE_SINT64: INT64,
    TYPE.TYPE_SFIXED64: INT64,
    TYPE.TYPE_UINT32: UINT32,
    TYPE.TYPE_FIXED32: UINT32,
    TYPE.TYPE_UINT64: UINT64,
    TYPE.TYPE_FIXED64: UINT64,
}


class UnknownWordError(CodecError):
    """A word that an enum does not have."""


def scalar_reader(member: Member, words: Callable[[EnumDescriptor], Words]) -> Read:
    """Choose how one value of a scalar field is read."""
    field = member.field
    if member.options.raw:
        return raw_reader(member)
    if field.type in WHOLE_NUMBERS:
        return whole_reader(WHOLE_NUMBERS[field.type], lenient=member.lenient)
    if field.type == TYPE.TYPE_ENUM:
        return enum_reader(field, words(enum_of(field)))
    if field.type == TYPE.TYPE_STRING and member.lenient:
        return lenient_text
    return SIMPLE[field.type]


def text(value: Any, _depth: int) -> Any:
    """Read a string."""
    if value.__class__ is not str:
        raise not_text(value)
    return value


def not_text(value: object) -> CodecError:
    """Build the error of a string that is none."""
    return CodecError(f"must be text, not {kind_of(value)}")


def lenient_text(value: Any, depth: int) -> Any:
    """Read a string also from a number, true or false."""
    if isinstance(value, bool | int | float):
        return orjson.dumps(value).decode()
    return text(value, depth)


def boolean(value: Any, _depth: int) -> Any:
    """Read true or false."""
    if value is True or value is False:
        return value
    raise CodecError(f"must be true or false, not {kind_of(value)}")


def octets(value: Any, _depth: int) -> bytes:
    """Read base64 in either alphabet, with or without padding."""
    if value.__class__ is not str:
        raise CodecError(f"must be base64 text, not {kind_of(value)}")
    try:
        return binascii.a2b_base64(value, strict_mode=True)
    except ValueError:
        return unusual_base64(value)


def unusual_base64(value: str) -> bytes:
    """Read base64 in the alphabet for addresses, or without padding."""
    plain = value.rstrip("=")
    padded = plain.translate(URL_SAFE) + "=" * (-len(plain) % 4)
    try:
        if len(value) - len(plain) > 2:
            raise CodecError("must be base64")
        return binascii.a2b_base64(padded, strict_mode=True)
    except ValueError:
        raise CodecError("must be base64") from None


def double(value: Any, _depth: int) -> Any:
    """Read a number of 64 bits: a number, the text of one, or the word of an infinity."""
    if value.__class__ is float or value.__class__ is int:
        return value
    if value.__class__ is str:
        word = WORDS_OF_FLOATS.get(value)
        if word is not None:
            return word
        if NUMBER.fullmatch(value):
            found = float(value)
            if found - found == 0:
                return found
            raise CodecError("must be a number that fits 64 bits")
        raise CodecError("must be a number, not other text")
    raise CodecError(f"must be a number, not {kind_of(value)}")


def single(value: Any, depth: int) -> Any:
    """Read a number of 32 bits, refusing what would round to infinity."""
    found = double(value, depth)
    if not -FLOAT_LIMIT < found < FLOAT_LIMIT and found - found == 0:
        raise CodecError("must be a number that fits 32 bits")
    return found


def whole_reader(bounds: tuple[int, int], *, lenient: bool) -> Read:
    """Read whole numbers between two bounds."""
    low, high = bounds
    convert = lenient_whole if lenient else whole

    def read(value: Any, _depth: int) -> Any:
        if value.__class__ is not int:
            # The usual text of a number, before the rules of all others are looked at.
            usual = value.__class__ is str and value.isdecimal() and value.isascii()
            value = int(value) if usual and value[0] != "0" and len(value) < 21 else convert(value)
        if low <= value <= high:
            return value
        raise CodecError(f"must be a whole number from {low} to {high}")

    return read


def whole(value: Any) -> int:
    """Read a whole number from a float that has no fraction, or from text."""
    if value.__class__ is float:
        if value.is_integer():
            return int(value)
        raise CodecError("must be a whole number")
    if value.__class__ is not str:
        raise CodecError(f"must be a whole number, not {kind_of(value)}")
    if len(value) <= LONGEST_NUMBER:
        if WHOLE.fullmatch(value):
            return int(value)
        if NUMBER.fullmatch(value):
            return exact(decimal(value))
    raise CodecError("must be a whole number, not other text")


def decimal(value: str) -> Decimal:
    """Read a decimal number whose exponent is not out of this world."""
    try:
        return Decimal(value)
    except InvalidOperation:
        raise CodecError("must be a whole number") from None


def exact(value: Decimal) -> int:
    """Turn a decimal number without a fraction into an integer, never a huge one."""
    if value.adjusted() > MOST_DIGITS or value != value.to_integral_value():
        raise CodecError("must be a whole number")
    return int(value)


def lenient_whole(value: Any) -> int:
    """Read a whole number also from true, false, and fractions, which are cut off; text has to be whole by itself."""
    return int(value) if isinstance(value, bool | float) else whole(value)


def enum_reader(field: FieldDescriptor, words: Words) -> Read:
    """Read the words of an enum, and numbers where no words were declared."""
    known = words.read
    enum = enum_of(field)
    closed = {value.number for value in enum.values} if enum.is_closed else ()
    null = is_null(field)
    choices = ", ".join(list(known)[:MOST_WORDS]) + (", …" if len(known) > MOST_WORDS else "")

    def read(value: Any, _depth: int) -> Any:
        if value.__class__ is str:
            found = known.get(value)
            if found is None:
                raise UnknownWordError(f'must be one of {choices}, not "{shorten(value)}"')
            return found
        if value is None and null:
            return 0
        if words.declared or value.__class__ not in (int, float):
            raise CodecError(f"must be one of {choices}, not {kind_of(value)}")
        number = whole(value) if value.__class__ is float else value
        if not INT32[0] <= number <= INT32[1] or (closed and number not in closed):
            raise CodecError(f"must be one of {choices}, or its number")
        return number

    return read


def raw_reader(member: Member) -> Read:
    """Keep free JSON as it was written; its slices of the source are in the tree already."""
    only_objects = member.options.raw == json_pb2.RAW_OBJECT
    as_text = member.field.type == TYPE.TYPE_STRING

    def read(value: Any, _depth: int) -> str | bytes:
        # Of null there is no slice: it may count as absent.
        kept = bytes(value) if value.__class__ is msgspec.Raw else orjson.dumps(value)
        if only_objects and not kept.startswith(b"{"):
            raise CodecError(f"must be an object, not {kind_of(orjson.loads(kept))}")
        return kept.decode() if as_text else kept

    return read


SIMPLE: dict[int, Read] = {
    TYPE.TYPE_BOOL: boolean,
    TYPE.TYPE_BYTES: octets,
    TYPE.TYPE_DOUBLE: double,
    TYPE.TYPE_FLOAT: single,
    TYPE.TYPE_STRING: text,
}
