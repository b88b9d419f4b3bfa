"""Messages that stand for one of their fields: read by the kind of JSON value that field takes."""

from __future__ import annotations

from google.protobuf.descriptor import FieldDescriptor

from jobyard.rest.v1 import json_pb2
from jobyard_server.transcoding.codec.declared import Member, is_map
from jobyard_server.transcoding.codec.known import DURATION, LIST, MASK, PACKAGE, TIMESTAMP, VALUE

TYPE = FieldDescriptor
NUMBERS = frozenset({int, float})
ANYTHING = frozenset({dict, list, str, int, float, bool})

OF_MESSAGES: dict[str, frozenset[type]] = {
    PACKAGE + "BoolValue": frozenset({bool}),
    PACKAGE + "BytesValue": frozenset({str}),
    PACKAGE + "DoubleValue": NUMBERS,
    DURATION: frozenset({str}),
    MASK: frozenset({str}),
    PACKAGE + "FloatValue": NUMBERS,
    PACKAGE + "Int32Value": NUMBERS,
    PACKAGE + "Int64Value": NUMBERS | {str},
    LIST: frozenset({list}),
    PACKAGE + "StringValue": frozenset({str}),
    TIMESTAMP: frozenset({str}),
    PACKAGE + "UInt32Value": NUMBERS,
    PACKAGE + "UInt64Value": NUMBERS | {str},
    VALUE: ANYTHING,
}
OF_SCALARS: dict[int, frozenset[type]] = {
    TYPE.TYPE_BOOL: frozenset({bool}),
    TYPE.TYPE_BYTES: frozenset({str}),
    TYPE.TYPE_ENUM: frozenset({str}),
    TYPE.TYPE_STRING: frozenset({str}),
    TYPE.TYPE_INT64: NUMBERS | {str},
    TYPE.TYPE_UINT64: NUMBERS | {str},
    TYPE.TYPE_SINT64: NUMBERS | {str},
    TYPE.TYPE_FIXED64: NUMBERS | {str},
    TYPE.TYPE_SFIXED64: NUMBERS | {str},
}


def kinds_taken(member: Member) -> frozenset[type]:
    """Say which kinds of JSON value a member takes."""
    field = member.field
    if is_map(field):
        return frozenset({dict})
    if field.is_repeated:
        return frozenset({list})
    if field.message_type is not None:
        return OF_MESSAGES.get(field.message_type.full_name, frozenset({dict}))
    if member.options.raw:
        return ANYTHING if member.options.raw == json_pb2.RAW_ANY else frozenset({dict})
    return OF_SCALARS.get(field.type, NUMBERS)
