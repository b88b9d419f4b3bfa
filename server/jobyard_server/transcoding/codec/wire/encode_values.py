"""Fields of wire bytes into the values of JSON: one printer a field, chosen in encode_plan; compiled by mypyc."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable
from typing import Final

from librt.strings import read_f32_le, read_f64_le, read_i32_le, read_i64_le
from mypy_extensions import i64
from typing_extensions import override

from jobyard_server.transcoding.codec.encode_struct import UnknownFieldError
from jobyard_server.transcoding.codec.times import time_text
from jobyard_server.transcoding.codec.wire.varints import FIXED64, FRAMED, VARINT, Found, Unusual, next_field, varint

_UNSET: Final = object()
"""Stands for a member that is not on the wire."""
_SIMPLE: Final = 1e15
"""Doubles below this that have a fraction print the same in Python and in JSON."""


class FieldPrinter:
    """Prints the values of one field."""

    def __init__(self, wire_type: int) -> None:
        self.wire_type: i64 = wire_type
        """Of one value; several may be packed into one that is framed."""
        self.index: i64 = 0
        """Place of the member in its object."""
        self.repeated = False

    def add(self, slots: list[object], data: bytes, found: Found, depth: i64) -> None:
        """Put what was found into the place of the member."""
        wire_type = found[0] & 7
        if wire_type == self.wire_type:
            value = self.value(data, found, depth)
            if self.repeated:
                self.listed(slots).append(value)
            else:
                slots[self.index] = value
        elif self.repeated and wire_type == FRAMED:
            values, at = self.listed(slots), found[2]
            while at < found[3]:
                each = unpacked(data, at, self.wire_type)
                at = each[3]
                values.append(self.value(data, each, depth))
        else:
            raise Unusual

    def listed(self, slots: list[object]) -> list[object]:
        """Give the list in the place of a repeated member."""
        held = slots[self.index]
        if not isinstance(held, list):
            held = []
            slots[self.index] = held
        return held

    def value(self, data: bytes, found: Found, depth: i64) -> object:
        """Print one value in a message of this depth; raises Unusual, or ValueError of what is wrong."""
        raise NotImplementedError


class TextPrinter(FieldPrinter):
    """Strings."""

    @override
    def value(self, data: bytes, found: Found, depth: i64) -> object:
        return data[found[2] : found[3]].decode()


class OctetsPrinter(FieldPrinter):
    """Bytes, as base64."""

    @override
    def value(self, data: bytes, found: Found, depth: i64) -> object:
        return b2a_base64(data[found[2] : found[3]], newline=False).decode()


class TruthPrinter(FieldPrinter):
    """True or false."""

    @override
    def value(self, data: bytes, found: Found, depth: i64) -> object:
        return found[1] != 0


class WholePrinter(FieldPrinter):
    """Whole numbers of any size, as text where JavaScript would round them."""

    def __init__(self, wire_type: int, *, signed: bool, as_text: bool) -> None:
        super().__init__(wire_type)
        self.signed = signed
        self.as_text = as_text

    @override
    def value(self, data: bytes, found: Found, depth: i64) -> object:
        return self.shown(found[1])

    def shown(self, number: i64) -> object:
        """Print a number of which the sign is a bit."""
        if number < 0 and not self.signed:
            raise Unusual
        whole: int = number
        return str(whole) if self.as_text else whole


class ZigzagPrinter(WholePrinter):
    """Whole numbers whose sign is their lowest bit."""

    @override
    def value(self, data: bytes, found: Found, depth: i64) -> object:
        return self.shown(((found[1] >> 1) & 0x7FFF_FFFF_FFFF_FFFF) ^ -(found[1] & 1))


class FixedPrinter(WholePrinter):
    """Whole numbers of four or eight bytes."""

    @override
    def value(self, data: bytes, found: Found, depth: i64) -> object:
        if self.wire_type == FIXED64:
            return self.shown(read_i64_le(data, found[2]))
        number = i64(read_i32_le(data, found[2]))
        return self.shown(number if self.signed or number >= 0 else number + 0x1_0000_0000)


class WordPrinter(FieldPrinter):
    """Enums by their words, or by their numbers where words were not declared."""

    def __init__(self, wire_type: int, words: dict[int, str], *, declared: bool) -> None:
        super().__init__(wire_type)
        self.words = words
        self.declared = declared

    @override
    def value(self, data: bytes, found: Found, depth: i64) -> object:
        number: int = found[1]
        word = self.words.get(number)
        if word is None and self.declared:
            raise Unusual
        return number if word is None else word


class DoublePrinter(FieldPrinter):
    """Numbers of 64 bits."""

    def __init__(self, wire_type: int, special: Callable[[float, int], object]) -> None:
        super().__init__(wire_type)
        self.special = special
        """Prints those that are whole, large, or no numbers at all."""

    @override
    def value(self, data: bytes, found: Found, depth: i64) -> object:
        number = read_f64_le(data, found[2])
        if -_SIMPLE < number < _SIMPLE and number != float(int(number)):
            return number
        return self.special(number, 0)


class SinglePrinter(DoublePrinter):
    """Numbers of 32 bits."""

    @override
    def value(self, data: bytes, found: Found, depth: i64) -> object:
        return self.special(read_f32_le(data, found[2]), 0)


class TimePrinter(FieldPrinter):
    """Timestamps, which are messages of seconds and nanoseconds."""

    @override
    def value(self, data: bytes, found: Found, depth: i64) -> object:
        seconds, nanos = pair(data, found)
        return time_text(seconds, nanos)


class PairPrinter(FieldPrinter):
    """Durations, which are such messages too, and timestamps in other forms."""

    def __init__(self, wire_type: int, shown: Callable[[int, int], object]) -> None:
        super().__init__(wire_type)
        self.shown = shown

    @override
    def value(self, data: bytes, found: Found, depth: i64) -> object:
        seconds, nanos = pair(data, found)
        return self.shown(seconds, nanos)


class FreePrinter(FieldPrinter):
    """A Struct or a ListValue, whose bytes encode_struct reads."""

    def __init__(self, wire_type: int, shown: Callable[[bytes, int, int, int], object]) -> None:
        super().__init__(wire_type)
        self.shown = shown

    @override
    def value(self, data: bytes, found: Found, depth: i64) -> object:
        return self.shown(data, found[2], found[3], depth + 1)


class OtherPrinter(FieldPrinter):
    """Everything else that is framed: what its own printer makes of the bytes."""

    def __init__(self, wire_type: int, shown: Callable[[bytes, int], object]) -> None:
        super().__init__(wire_type)
        self.shown = shown

    @override
    def value(self, data: bytes, found: Found, depth: i64) -> object:
        return self.shown(data[found[2] : found[3]], depth)


class MapPrinter(FieldPrinter):
    """Maps, whose entries are messages of a key and a value."""

    def __init__(self, wire_type: int, key: FieldPrinter, value: FieldPrinter) -> None:
        super().__init__(wire_type)
        self.key = key
        self.of_value = value

    @override
    def add(self, slots: list[object], data: bytes, found: Found, depth: i64) -> None:
        key = next_field(data, found[2])
        value = next_field(data, key[3])
        usual = key[0] == 8 | self.key.wire_type and value[0] == 16 | self.of_value.wire_type and value[3] == found[3]
        name = self.key.value(data, key, depth + 1) if usual else None
        if not isinstance(name, str):
            raise Unusual
        held = slots[self.index]
        if not isinstance(held, dict):
            held = {}
            slots[self.index] = held
        held[name] = self.of_value.value(data, value, depth + 1)


class ObjectPrinter:
    """Prints the messages of one type as objects of their fields."""

    def __init__(self, limit: int, highest: int) -> None:
        self.limit: i64 = limit
        self.fields: list[FieldPrinter | None] = [None] * (highest + 1)
        """By their numbers."""
        self.names: list[str] = []
        self.unset: list[Callable[[], object] | None] = []
        """What stands for members that are not set; None where nothing does."""
        self.blank: list[object] = []

    def member(self, number: int, name: str, field: FieldPrinter, unset: Callable[[], object] | None) -> None:
        """Add a member behind those that are there."""
        field.index = len(self.names)
        self.fields[number] = field
        self.names.append(name)
        self.unset.append(unset)
        self.blank.append(_UNSET)

    def tree(self, data: bytes) -> dict[str, object] | None:
        """Print a whole message; None where it is not usual, or cannot be shown."""
        try:
            return self.object(data, 0, len(data), 0)
        except (Unusual, UnknownFieldError, ValueError, IndexError):
            return None

    def object(self, data: bytes, at: i64, end: i64, depth: i64) -> dict[str, object]:
        """Print the message between two places, in a message of this depth."""
        if depth >= self.limit:
            raise Unusual
        slots = self.blank.copy()
        known: i64 = len(self.fields)
        while at < end:
            found = next_field(data, at)
            at = found[3]
            field = self.fields[found[0] >> 3] if found[0] >> 3 < known else None
            if field is not None:
                field.add(slots, data, found, depth + 1)
        out: dict[str, object] = {}
        for index, name in enumerate(self.names):
            value = slots[index]
            if value is not _UNSET:
                out[name] = value
            else:
                unset = self.unset[index]
                if unset is not None:
                    out[name] = unset()
        return out


class MessagePrinter(FieldPrinter):
    """Messages of fields."""

    def __init__(self, wire_type: int, members: ObjectPrinter) -> None:
        super().__init__(wire_type)
        self.members = members

    @override
    def value(self, data: bytes, found: Found, depth: i64) -> object:
        return self.members.object(data, found[2], found[3], depth)


def pair(data: bytes, found: Found) -> tuple[i64, i64]:
    """Read the seconds and the nanoseconds of a Timestamp or a Duration."""
    seconds: i64 = 0
    nanos: i64 = 0
    at = found[2]
    while at < found[3]:
        part = next_field(data, at)
        at = part[3]
        if part[0] == 0x08:
            seconds = part[1]
        elif part[0] == 0x10:
            nanos = part[1]
        else:
            raise Unusual
    return seconds, nanos


def unpacked(data: bytes, at: i64, wire_type: i64) -> Found:
    """Find one of several values that are packed; it has no tag."""
    if wire_type == VARINT:
        value, end = varint(data, at)
        return 0, value, at, end
    return 0, 0, at, at + (8 if wire_type == FIXED64 else 4)
