"""Single values as text - from the path, the query, headers, forms - turned into what a field holds, or refused."""

from __future__ import annotations

import binascii
import math
import re
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import orjson
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from jobyard_server.transcoding.codec.declared import is_raw, words_of
from jobyard_server.transcoding.codec.dialect import Dialect, Naming
from jobyard_server.transcoding.fields import enum_of

Parse = Callable[[str], Any]
Write = Callable[[Message, str], None]
"""Parses a text and puts it into the field of the message that owns it."""

_F = FieldDescriptor
_WHOLE = re.compile(r"-?[0-9]{1,20}")
_NUMBER = re.compile(r"-?[0-9]{1,400}(\.[0-9]{1,400})?([eE][-+]?[0-9]{1,4})?")
_CUT = re.compile(r"\.0*$")
_LIMITS = {
    _F.CPPTYPE_INT32: (-(1 << 31), (1 << 31) - 1),
    _F.CPPTYPE_UINT32: (0, (1 << 32) - 1),
    _F.CPPTYPE_INT64: (-(1 << 63), (1 << 63) - 1),
    _F.CPPTYPE_UINT64: (0, (1 << 64) - 1),
}
_LARGEST_FLOAT = 3.4028234663852886e38
_NAMED_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_LENIENT_BOOLS = {
    **dict.fromkeys(("true", "t", "1", "yes", "y", "on"), True),
    **dict.fromkeys(("false", "f", "0", "no", "n", "off"), False),
}
_WRAPPERS = frozenset(
    f"google.protobuf.{kind}Value"
    for kind in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
)
_JSON_MESSAGES = frozenset(f"google.protobuf.{name}" for name in ("Struct", "ListValue"))
_TEXT_MESSAGES = frozenset(f"google.protobuf.{name}" for name in ("Timestamp", "Duration"))
_FIELD_MASK = "google.protobuf.FieldMask"
_VALUE = "google.protobuf.Value"


class ValueRefusedError(ValueError):
    """Text that does not fit its field; the message completes the sentence that starts with the field's name."""


def parser(field: FieldDescriptor, dialect: Dialect, *, lenient: bool = False) -> Parse:
    """Compile the parser of a scalar or enum field, or of one item of a repeated one."""
    kind = field.cpp_type
    if kind == _F.CPPTYPE_STRING:
        return _text_parser(field)
    if kind in _LIMITS:
        return _whole_parser(*_LIMITS[kind], lenient=lenient)
    if kind in {_F.CPPTYPE_DOUBLE, _F.CPPTYPE_FLOAT}:
        return _float_parser(_LARGEST_FLOAT if kind == _F.CPPTYPE_FLOAT else math.inf, lenient=lenient)
    if kind == _F.CPPTYPE_BOOL:
        return _lenient_bool if lenient else _strict_bool
    if kind == _F.CPPTYPE_ENUM:
        return _enum_parser(field, dialect)
    raise TypeError(f"{field.full_name} holds a message, not a single value")


def writer(field: FieldDescriptor, dialect: Dialect, *, lenient: bool = False) -> Write | None:
    """Compile what parses a text into a field that is not repeated; None when no single text can fill it."""
    name = field.name
    message = field.message_type
    if message is None:
        parse = parser(field, dialect, lenient=lenient)
        if parse is _as_it_is:
            return lambda owner, text: setattr(owner, name, text)
        return lambda owner, text: setattr(owner, name, parse(text))
    if message.full_name in _WRAPPERS:
        return _wrapper_writer(name, parser(message.fields_by_name["value"], dialect, lenient=lenient))
    fill = _filler(message.full_name, dialect)
    if fill is None:
        return None
    return lambda owner, text: _fill(getattr(owner, name), text, fill)


def _wrapper_writer(name: str, inner: Parse) -> Write:
    def write(owner: Message, text: str) -> None:
        value = inner(text)
        wrapper = getattr(owner, name)
        wrapper.value = value
        wrapper.SetInParent()

    return write


def item_writer(field: FieldDescriptor, dialect: Dialect, *, lenient: bool = False) -> Write | None:
    """Compile what appends one text to a repeated field; None when no text can be an item."""
    name = field.name
    message = field.message_type
    if message is None:
        parse = parser(field, dialect, lenient=lenient)
        return lambda owner, text: getattr(owner, name).append(parse(text))
    if message.full_name in _WRAPPERS:
        inner = parser(message.fields_by_name["value"], dialect, lenient=lenient)
        return lambda owner, text: getattr(owner, name).add(value=inner(text))
    fill = _filler(message.full_name, dialect)
    if fill is None:
        return None
    return lambda owner, text: _fill(getattr(owner, name).add(), text, fill)


def _filler(name: str, dialect: Dialect) -> Callable[[Message, str], None] | None:
    if name in _TEXT_MESSAGES:
        return _from_text
    if name == _FIELD_MASK:
        return _mask_of_proto_names if dialect.naming is Naming.PROTO else _from_text
    if name in _JSON_MESSAGES:
        return _from_json
    return _from_json_or_text if name == _VALUE else None


def _fill(message: Any, text: str, fill: Callable[[Any, str], None]) -> None:
    message.SetInParent()
    fill(message, text)


def _from_text(message: Any, text: str) -> None:
    try:
        message.FromJsonString(text)
    except (ValueError, OverflowError) as error:
        raise ValueRefusedError(_TEXT_RULES[message.DESCRIPTOR.name]) from error


_TEXT_RULES = {
    "Timestamp": "must be a time such as 2026-01-15T11:00:30Z",
    "Duration": "must be a number of seconds such as 1.5s",
    "FieldMask": "must be names of fields joined by commas",
}


def _mask_of_proto_names(message: Any, text: str) -> None:
    message.paths.extend(part for part in text.split(",") if part)


def _from_json(message: Message, text: str) -> None:
    try:
        json_format.Parse(text, message)
    except (json_format.ParseError, RecursionError) as error:
        kind = "object" if message.DESCRIPTOR.name == "Struct" else "array"
        raise ValueRefusedError(f"must be a JSON {kind}") from error


def _from_json_or_text(message: Any, text: str) -> None:
    try:
        json_format.Parse(text, message)
    except (json_format.ParseError, RecursionError):
        message.string_value = text


def _as_it_is(text: str) -> str:
    return text


def _text_parser(field: FieldDescriptor) -> Parse:
    in_bytes = field.type == _F.TYPE_BYTES
    if is_raw(field):
        return lambda text: _json_text(text).encode() if in_bytes else _json_text(text)
    return bytes_of_base64 if in_bytes else _as_it_is


def _json_text(text: str) -> str:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueRefusedError("must be JSON") from error
    return text


def bytes_of_base64(text: str) -> bytes:
    """Read base64 in either alphabet, with or without padding."""
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueRefusedError("must be base64") from error


def _whole_parser(low: int, high: int, *, lenient: bool) -> Parse:
    def parse(text: str) -> int:
        if lenient:
            text = _CUT.sub("", text.strip().removeprefix("+"))
        if not _WHOLE.fullmatch(text):
            raise ValueRefusedError("must be a whole number")
        number = int(text)
        if not low <= number <= high:
            raise ValueRefusedError(f"must be between {low} and {high}")
        return number

    return parse


def _float_parser(largest: float, *, lenient: bool) -> Parse:
    def parse(text: str) -> float:
        if lenient:
            text = text.strip().removeprefix("+")
        if text in _NAMED_FLOATS:
            return _NAMED_FLOATS[text]
        if not _NUMBER.fullmatch(text):
            raise ValueRefusedError("must be a number")
        number = float(text)
        if math.isinf(number) or abs(number) > largest:
            raise ValueRefusedError("is too large a number")
        return number

    return parse


def _strict_bool(text: str) -> bool:
    if text == "true":
        return True
    if text == "false":
        return False
    raise ValueRefusedError("must be true or false")


def _lenient_bool(text: str) -> bool:
    value = _LENIENT_BOOLS.get(text.strip().lower())
    if value is None:
        raise ValueRefusedError("must be true or false")
    return value


def _enum_parser(field: FieldDescriptor, dialect: Dialect) -> Parse:
    words = words_of(enum_of(field), dialect)
    shown = ", ".join(words.printed.values())

    def parse(text: str) -> int:
        number = words.read.get(text)
        if number is not None:
            return number
        if not words.declared and _WHOLE.fullmatch(text) and -(1 << 31) <= int(text) < 1 << 31:
            return int(text)
        raise ValueRefusedError(f"must be one of {shown}")

    return parse
