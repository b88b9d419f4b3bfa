"""Single values as text - from the path, the query, headers, forms - turned into what a field holds, or refused."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from jobyard.rest.v1 import annotations_pb2 as rest
from jobyard.rest.v1 import json_pb2
from jobyard_server.transcoding.codec.declared import is_raw, words_of
from jobyard_server.transcoding.codec.decode_scalars import (
    FLOAT_LIMIT,
    INT32,
    INT64,
    NUMBER,
    UINT32,
    UINT64,
    WORDS_OF_FLOATS,
    octets,
)
from jobyard_server.transcoding.codec.decode_wellknown import well_known
from jobyard_server.transcoding.codec.dialect import Dialect
from jobyard_server.transcoding.codec.errors import CodecError
from jobyard_server.transcoding.codec.known import LIST, STRUCT, VALUE, WRAPPERS
from jobyard_server.transcoding.codec.raw import is_json
from jobyard_server.transcoding.codec.source import load
from jobyard_server.transcoding.fields import enum_of

Parse = Callable[[str], Any]
Write = Callable[[Message, str], None]
"""Parses a text and puts it into the field of the message that owns it."""

_F = FieldDescriptor
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,19})")
_LENIENT_WHOLE = re.compile(r"-?[0-9]{1,20}")
_LENIENT_NUMBER = re.compile(r"-?[0-9]{1,400}(\.[0-9]{1,400})?([eE][-+]?[0-9]{1,4})?")
_CUT = re.compile(r"\.0*$")
_LIMITS = {
    _F.CPPTYPE_INT32: INT32,
    _F.CPPTYPE_UINT32: UINT32,
    _F.CPPTYPE_INT64: INT64,
    _F.CPPTYPE_UINT64: UINT64,
}
_LENIENT_BOOLS = {
    **dict.fromkeys(("true", "t", "1", "yes", "y", "on"), True),
    **dict.fromkeys(("false", "f", "0", "no", "n", "off"), False),
}


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
        return _float_parser(FLOAT_LIMIT if kind == _F.CPPTYPE_FLOAT else math.inf, lenient=lenient)
    if kind == _F.CPPTYPE_BOOL:
        return _lenient_bool if lenient else _strict_bool
    if kind == _F.CPPTYPE_ENUM:
        return _enum_parser(field, dialect)
    raise TypeError(f"{field.full_name} holds a message, not a single value")


def writer(field: FieldDescriptor, dialect: Dialect, *, lenient: bool = False, depth: int = 1) -> Write | None:
    """Compile what parses a text into a field that is not repeated; None when no single text can fill it.

    The depth is that of the message around the field: free JSON may not nest deeper there than in a body.
    """
    name = field.name
    message = field.message_type
    if message is None:
        parse = parser(field, dialect, lenient=lenient)
        if parse is _as_it_is:
            return lambda owner, text: setattr(owner, name, text)
        return lambda owner, text: setattr(owner, name, parse(text))
    if message.full_name in WRAPPERS:
        return _wrapper_writer(name, parser(message.fields_by_name["value"], dialect, lenient=lenient))
    fill = _filler(message, dialect, depth)
    if fill is None:
        return None
    return lambda owner, text: fill(getattr(owner, name), text)


def _wrapper_writer(name: str, inner: Parse) -> Write:
    def write(owner: Message, text: str) -> None:
        value = inner(text)
        wrapper = getattr(owner, name)
        wrapper.value = value
        wrapper.SetInParent()

    return write


def item_writer(field: FieldDescriptor, dialect: Dialect, *, lenient: bool = False, depth: int = 1) -> Write | None:
    """Compile what appends one text to a repeated field; None when no text can be an item."""
    name = field.name
    message = field.message_type
    if message is None:
        parse = parser(field, dialect, lenient=lenient)
        return lambda owner, text: getattr(owner, name).append(parse(text))
    if message.full_name in WRAPPERS:
        inner = parser(message.fields_by_name["value"], dialect, lenient=lenient)
        return lambda owner, text: getattr(owner, name).add(value=inner(text))
    fill = _filler(message, dialect, depth)
    if fill is None:
        return None
    return lambda owner, text: fill(getattr(owner, name).add(), text)


def _filler(message: Descriptor, dialect: Dialect, depth: int) -> Callable[[Any, str], None] | None:
    """Compile what fills a well-known message from text, as the codec reads it in a body; None for all others."""
    read = well_known(message, dialect)
    if read is None:
        return None
    tree_of = _TREES.get(message.full_name, _as_it_is)

    def fill(target: Any, text: str) -> None:
        try:
            parts = read(tree_of(text), depth)
        except CodecError as error:
            raise ValueRefusedError(str(error)) from error
        target.SetInParent()
        target.CopyFrom(parts if isinstance(parts, Message) else type(target)(**parts))

    return fill


def _json(text: str) -> Any:
    return load(text.encode())


def _json_or_text(text: str) -> Any:
    try:
        return _json(text)
    except CodecError:
        if is_json(text.encode()):
            raise
        return text


_TREES: dict[str, Callable[[str], Any]] = {STRUCT: _json, LIST: _json, VALUE: _json_or_text}
"""What is parsed before it is read: the other well-known messages are written as text."""


def _as_it_is(text: str) -> str:
    return text


def _text_parser(field: FieldDescriptor) -> Parse:
    in_bytes = field.type == _F.TYPE_BYTES
    if is_raw(field):
        read = _json_object if field.GetOptions().Extensions[rest.json].raw == json_pb2.RAW_OBJECT else _any_json
        return lambda text: read(text).encode() if in_bytes else read(text)
    return bytes_of_base64 if in_bytes else _as_it_is


def _any_json(text: str) -> str:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueRefusedError("must be JSON") from error
    return text


def _json_object(text: str) -> str:
    if _any_json(text).lstrip(" \t\r\n").startswith("{"):
        return text
    raise ValueRefusedError("must be a JSON object")


def bytes_of_base64(text: str) -> bytes:
    """Read base64 in either alphabet, with or without padding."""
    try:
        return octets(text, 0)
    except CodecError as error:
        raise ValueRefusedError(str(error)) from error


def _whole_parser(low: int, high: int, *, lenient: bool) -> Parse:
    pattern = _LENIENT_WHOLE if lenient else _WHOLE

    def parse(text: str) -> int:
        if lenient:
            text = _CUT.sub("", text.strip().removeprefix("+"))
        if not pattern.fullmatch(text):
            raise ValueRefusedError("must be a whole number")
        number = int(text)
        if not low <= number <= high:
            raise ValueRefusedError(f"must be between {low} and {high}")
        return number

    return parse


def _float_parser(limit: float, *, lenient: bool) -> Parse:
    pattern = _LENIENT_NUMBER if lenient else NUMBER

    def parse(text: str) -> float:
        if lenient:
            text = text.strip().removeprefix("+")
        if text in WORDS_OF_FLOATS:
            return WORDS_OF_FLOATS[text]
        if not pattern.fullmatch(text):
            raise ValueRefusedError("must be a number")
        number = float(text)
        if abs(number) >= limit:
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
