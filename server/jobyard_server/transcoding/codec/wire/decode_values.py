"""Values of JSON into the fields of wire bytes: one writer a field, chosen in decode_plan; compiled by mypyc."""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Callable
from typing import Final

import msgspec
import orjson
from librt.strings import BytesWriter, write_f32_le, write_f64_le, write_i32_le, write_i64_le
from mypy_extensions import i32, i64, u8
from typing_extensions import override

from jobyard_server.transcoding.codec.times import parse_duration, parse_time
from jobyard_server.transcoding.codec.wire.varints import Unusual, tag_of, write_framed, write_varint

# Whole numbers up to here are the same as doubles.
_EXACT: Final = 1 << 53
_HIGHEST: Final = (1 << 63) - 1
_FLOAT_LIMIT: Final = float.fromhex("0x1.ffffffp+127")


class FieldWriter:
    """Writes the values of one field."""

    def __init__(self, number: int, wire_type: int) -> None:
        self.tag = tag_of(number, wire_type)
        self.takes_null = False
        """Null is a value like any other, and not the same as absent."""
        self.oneof = 0
        """Bit of the oneof that the field is one of; zero when it is in none."""

    def write(self, value: object, out: BytesWriter, depth: i64) -> None:
        """Write a value in a message of this depth; raises Unusual, or ValueError of what is wrong."""
        raise NotImplementedError


class TextWriter(FieldWriter):
    """Strings."""

    @override
    def write(self, value: object, out: BytesWriter, depth: i64) -> None:
        if not isinstance(value, str):
            raise Unusual
        write_framed(out, self.tag, value.encode())


class OctetsWriter(FieldWriter):
    """Bytes, from base64."""

    @override
    def write(self, value: object, out: BytesWriter, depth: i64) -> None:
        if not isinstance(value, str):
            raise Unusual
        write_framed(out, self.tag, a2b_base64(value, strict_mode=True))


class RawWriter(FieldWriter):
    """JSON as it was written: the slice of the source that stands in the tree."""

    def __init__(self, number: int, wire_type: int, *, only_objects: bool) -> None:
        super().__init__(number, wire_type)
        self.only_objects = only_objects

    @override
    def write(self, value: object, out: BytesWriter, depth: i64) -> None:
        kept = bytes(value) if isinstance(value, msgspec.Raw) else orjson.dumps(value)
        if self.only_objects and not kept.startswith(b"{"):
            raise Unusual
        write_framed(out, self.tag, kept)


class TruthWriter(FieldWriter):
    """True or false."""

    @override
    def write(self, value: object, out: BytesWriter, depth: i64) -> None:
        if not isinstance(value, bool):
            raise Unusual
        out.write(self.tag)
        out.append(1 if value else 0)


class WholeWriter(FieldWriter):
    """Whole numbers as varints."""

    def __init__(self, number: int, wire_type: int, low: int, high: int) -> None:
        super().__init__(number, wire_type)
        self.low: i64 = low
        self.high: i64 = min(high, _HIGHEST)

    def read(self, value: object) -> i64:
        """Read a number, or its digits: of fewer than 19 there is none that does not fit 64 bits."""
        number: i64 = 0
        if isinstance(value, str):
            if not 0 < len(value) < 19 or value[0] == "0":
                raise Unusual
            for char in value:
                digit = i64(ord(char)) - 48
                if not 0 <= digit <= 9:
                    raise Unusual
                number = number * 10 + digit
        elif isinstance(value, int) and not isinstance(value, bool):
            number = value
        else:
            raise Unusual
        if not self.low <= number <= self.high:
            raise Unusual
        return number

    @override
    def write(self, value: object, out: BytesWriter, depth: i64) -> None:
        number = self.read(value)
        out.write(self.tag)
        write_varint(out, number)


class ZigzagWriter(WholeWriter):
    """Whole numbers whose sign is their lowest bit."""

    @override
    def write(self, value: object, out: BytesWriter, depth: i64) -> None:
        number = self.read(value)
        out.write(self.tag)
        write_varint(out, (number << 1) ^ (number >> 63))


class Fixed32Writer(WholeWriter):
    """Whole numbers of four bytes."""

    @override
    def write(self, value: object, out: BytesWriter, depth: i64) -> None:
        number = self.read(value)
        out.write(self.tag)
        write_i32_le(out, i32(number if number <= 0x7FFF_FFFF else number - 0x1_0000_0000))


class Fixed64Writer(WholeWriter):
    """Whole numbers of eight bytes."""

    @override
    def write(self, value: object, out: BytesWriter, depth: i64) -> None:
        number = self.read(value)
        out.write(self.tag)
        write_i64_le(out, number)


class WordWriter(FieldWriter):
    """The words of an enum."""

    def __init__(self, number: int, wire_type: int, words: dict[str, int]) -> None:
        super().__init__(number, wire_type)
        self.words = words

    @override
    def write(self, value: object, out: BytesWriter, depth: i64) -> None:
        found = self.words.get(value) if isinstance(value, str) else None
        if found is None:
            raise Unusual
        out.write(self.tag)
        write_varint(out, found)


class DoubleWriter(FieldWriter):
    """Numbers of 64 bits."""

    def read(self, value: object) -> float:
        """Read a number that is one in JSON too."""
        if isinstance(value, float):
            return value
        if not isinstance(value, int) or isinstance(value, bool) or not -_EXACT <= value <= _EXACT:
            raise Unusual
        return float(value)

    @override
    def write(self, value: object, out: BytesWriter, depth: i64) -> None:
        number = self.read(value)
        out.write(self.tag)
        write_f64_le(out, number)


class SingleWriter(DoubleWriter):
    """Numbers of 32 bits."""

    @override
    def write(self, value: object, out: BytesWriter, depth: i64) -> None:
        number = self.read(value)
        if not -_FLOAT_LIMIT < number < _FLOAT_LIMIT:
            raise Unusual
        out.write(self.tag)
        write_f32_le(out, number)


class TimeWriter(FieldWriter):
    """Times of RFC 3339 as Timestamps."""

    @override
    def write(self, value: object, out: BytesWriter, depth: i64) -> None:
        if not isinstance(value, str):
            raise Unusual
        seconds, nanos = parse_time(value)
        self.write_pair(out, seconds, nanos)

    def write_pair(self, out: BytesWriter, seconds: i64, nanos: i64) -> None:
        """Write a message of two numbers, of which the length is known to be one byte."""
        out.write(self.tag)
        out.append(0)
        start: i64 = len(out)
        if seconds:
            out.append(0x08)
            write_varint(out, seconds)
        if nanos:
            out.append(0x10)
            write_varint(out, nanos)
        out[start - 1] = u8(len(out) - start)


class DurationWriter(TimeWriter):
    """Numbers of seconds as Durations."""

    @override
    def write(self, value: object, out: BytesWriter, depth: i64) -> None:
        if not isinstance(value, str):
            raise Unusual
        seconds, nanos = parse_duration(value)
        self.write_pair(out, seconds, nanos)


class FreeWriter(FieldWriter):
    """Free JSON as a Struct or a ListValue, whose bytes decode_struct writes."""

    def __init__(self, number: int, wire_type: int, content: Callable[[object, int], bytes]) -> None:
        super().__init__(number, wire_type)
        self.content = content

    @override
    def write(self, value: object, out: BytesWriter, depth: i64) -> None:
        write_framed(out, self.tag, self.content(value, depth + 1))


class OtherWriter(FieldWriter):
    """Every other field: what its reader gives, written by the message around it."""

    def __init__(self, number: int, wire_type: int, field: Callable[[object, int], bytes]) -> None:
        super().__init__(number, wire_type)
        self.field = field

    @override
    def write(self, value: object, out: BytesWriter, depth: i64) -> None:
        out.write(self.field(value, depth))


class ListWriter(FieldWriter):
    """Lists: every item has a tag, which parsers take where they expect packed ones too."""

    def __init__(self, number: int, wire_type: int, item: FieldWriter) -> None:
        super().__init__(number, wire_type)
        self.item = item

    @override
    def write(self, value: object, out: BytesWriter, depth: i64) -> None:
        if not isinstance(value, list):
            raise Unusual
        item = self.item
        for each in value:
            if each is None:
                raise Unusual
            item.write(each, out, depth)


class MapWriter(FieldWriter):
    """Maps, whose entries are messages of a key and a value."""

    def __init__(self, number: int, wire_type: int, key: FieldWriter, value: FieldWriter, limit: int) -> None:
        super().__init__(number, wire_type)
        self.key = key
        self.value = value
        self.limit: i64 = limit

    @override
    def write(self, value: object, out: BytesWriter, depth: i64) -> None:
        if not isinstance(value, dict) or depth >= self.limit:
            raise Unusual
        for key, each in value.items():
            if each is None:
                raise Unusual
            entry = BytesWriter()
            self.key.write(key, entry, depth + 1)
            self.value.write(each, entry, depth + 1)
            write_framed(out, self.tag, entry.getvalue())


class ObjectWriter:
    """Writes the objects of one message type."""

    def __init__(self, limit: int, required: list[str], elsewhere: set[str], *, ignores_unknown: bool) -> None:
        self.fields: dict[str, FieldWriter] = {}
        """By the name of the member."""
        self.limit: i64 = limit
        self.required = required
        self.elsewhere = elsewhere
        """Names that mean something to the long way alone."""
        self.ignores_unknown = ignores_unknown

    def wire(self, tree: object, depth: i64) -> bytes | None:
        """Write all of an object in a message of this depth; None where it is not usual, or wrong."""
        out = BytesWriter()
        try:
            self.write(tree, out, depth)
        except (Unusual, ValueError, OverflowError):
            return None
        return out.getvalue()

    def write(self, tree: object, out: BytesWriter, depth: i64) -> None:
        """Write the members of an object in a message of this depth."""
        if not isinstance(tree, dict) or depth >= self.limit:
            raise Unusual
        for name in self.required:
            if tree.get(name) is None:
                raise Unusual
        seen = 0
        for name, value in tree.items():
            field = self.fields.get(name)
            if field is None:
                if name in self.elsewhere or not self.ignores_unknown:
                    raise Unusual
            elif value is not None or field.takes_null:
                if seen & field.oneof:
                    raise Unusual
                seen |= field.oneof
                field.write(value, out, depth + 1)


class MessageWriter(FieldWriter):
    """Messages of fields."""

    def __init__(self, number: int, wire_type: int, members: ObjectWriter) -> None:
        super().__init__(number, wire_type)
        self.members = members

    @override
    def write(self, value: object, out: BytesWriter, depth: i64) -> None:
        content = BytesWriter()
        self.members.write(value, content, depth)
        write_framed(out, self.tag, content.getvalue())
