"""Protobuf's well-known types into their JSON forms: times, masks, structs, wrappers."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor

from jobyard_server.transcoding.codec.declared import standalone
from jobyard_server.transcoding.codec.dialect import Dialect, Naming
from jobyard_server.transcoding.codec.encode_scalars import Show, scalar_printer
from jobyard_server.transcoding.codec.encode_struct import struct_printer
from jobyard_server.transcoding.codec.known import DURATION, MASK, TIMESTAMP, WRAPPERS
from jobyard_server.transcoding.codec.times import TIME_FORMS, duration_text, mask_text


def well_known(message: Descriptor, dialect: Dialect) -> Show | None:
    """Give the printer of a message whose JSON is not an object of its fields."""
    name = message.full_name
    if name in WRAPPERS:
        return wrapper(message, dialect)
    if name == MASK:
        return verbatim_mask if dialect.naming is Naming.PROTO else mask
    if name == TIMESTAMP:
        return timestamp(0)
    if name == DURATION:
        return duration
    return struct_printer(message, dialect.depth)


def wrapper(message: Descriptor, dialect: Dialect) -> Show:
    """Print the scalar that a message wraps."""
    show = scalar_printer(standalone(message.fields_by_name["value"], dialect), None)
    if show is None:
        return lambda value, _depth: value.value
    return lambda value, depth: show(value.value, depth)


def timestamp(form: int) -> Show:
    """Print a time in one of its forms."""
    text = TIME_FORMS[form]

    def show(value: Any, _depth: int) -> object:
        return text(value.seconds, value.nanos)

    return show


def duration(value: Any, _depth: int) -> str:
    """Print a number of seconds followed by an s."""
    return duration_text(value.seconds, value.nanos)


def mask(value: Any, _depth: int) -> str:
    """Print a list of paths in lowerCamelCase."""
    return mask_text(value.paths)


def verbatim_mask(value: Any, _depth: int) -> str:
    """Print a list of paths as the fields are named in the proto."""
    return ",".join(value.paths)
