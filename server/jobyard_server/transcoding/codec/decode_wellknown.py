"""The JSON forms of protobuf's well-known types: times, masks, wrappers."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor

from jobyard_server.transcoding.codec.declared import Words, standalone
from jobyard_server.transcoding.codec.decode_scalars import Read, scalar_reader
from jobyard_server.transcoding.codec.decode_struct import struct_reader
from jobyard_server.transcoding.codec.dialect import Dialect, Naming
from jobyard_server.transcoding.codec.errors import CodecError, kind_of
from jobyard_server.transcoding.codec.known import DURATION, MASK, TIMESTAMP, WRAPPERS
from jobyard_server.transcoding.codec.times import (
    NOT_A_DURATION,
    NOT_A_TIME,
    parse_duration,
    parse_mask,
    parse_ticks,
    parse_time,
    split_mask,
)


def well_known(message: Descriptor, dialect: Dialect) -> Read | None:
    """Give the reader of a message whose JSON is not an object of its fields."""
    name = message.full_name
    if name in WRAPPERS:
        return wrapper(message, dialect)
    if name == MASK:
        return mask(dialect.naming)
    if name == TIMESTAMP:
        return timestamp
    if name == DURATION:
        return duration
    return struct_reader(message, dialect.depth)


def wrapper(message: Descriptor, dialect: Dialect) -> Read:
    """Read a scalar for the message that wraps it."""
    read_scalar = scalar_reader(standalone(message.fields_by_name["value"], dialect), no_words)
    return lambda value, depth: {"value": read_scalar(value, depth)}


def no_words(_enum: object) -> Words:
    """Wrappers hold no enum."""
    raise AssertionError


def timestamp(value: Any, _depth: int) -> dict[str, int]:
    """Read a time of RFC 3339."""
    if value.__class__ is not str:
        raise CodecError(f"{NOT_A_TIME}, not {kind_of(value)}")
    seconds, nanos = parse_time(value)
    return {"seconds": seconds, "nanos": nanos}


def ticking(ticks: int) -> Read:
    """Read a time as a number since 1970 too, for fields that print one."""

    def read(value: Any, depth: int) -> dict[str, int]:
        if value.__class__ is not int and value.__class__ is not float:
            return timestamp(value, depth)
        seconds, nanos = parse_ticks(value, ticks)
        return {"seconds": seconds, "nanos": nanos}

    return read


def duration(value: Any, _depth: int) -> dict[str, int]:
    """Read a number of seconds followed by an s."""
    if value.__class__ is not str:
        raise CodecError(f"{NOT_A_DURATION}, not {kind_of(value)}")
    seconds, nanos = parse_duration(value)
    return {"seconds": seconds, "nanos": nanos}


def mask(naming: Naming) -> Read:
    """Read a list of paths, spelled like the members they name."""
    parse = split_mask if naming is Naming.PROTO else parse_mask

    def read(value: Any, _depth: int) -> dict[str, list[str]]:
        if value.__class__ is not str:
            raise CodecError(f"must be text that lists fields, not {kind_of(value)}")
        return {"paths": parse(value)}

    return read
