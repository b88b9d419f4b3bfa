"""Message types into the writers of their wire bytes, by what the plans of the codec know of their members."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass

from jobyard.rest.v1 import json_pb2
from jobyard_server.transcoding.codec.declared import Member, is_map, map_fields, shape_of
from jobyard_server.transcoding.codec.decode_fields import Plans, reader_of, takes_null, value_member
from jobyard_server.transcoding.codec.decode_scalars import WHOLE_NUMBERS
from jobyard_server.transcoding.codec.decode_struct import Writer
from jobyard_server.transcoding.codec.dialect import Stray
from jobyard_server.transcoding.codec.known import DURATION, LIST, OWN_FORM, STRUCT, TIMESTAMP
from jobyard_server.transcoding.codec.wire.decode_values import (
    DoubleWriter,
    DurationWriter,
    FieldWriter,
    Fixed32Writer,
    Fixed64Writer,
    FreeWriter,
    ListWriter,
    MapWriter,
    MessageWriter,
    ObjectWriter,
    OctetsWriter,
    OtherWriter,
    RawWriter,
    SingleWriter,
    TextWriter,
    TimeWriter,
    TruthWriter,
    WholeWriter,
    WordWriter,
    ZigzagWriter,
)
from jobyard_server.transcoding.codec.wire.varints import DEEPEST, FIXED32, FIXED64, FRAMED, VARINT

_F = FieldDescriptor
_PLAIN: dict[int, tuple[type[FieldWriter], int]] = {
    _F.TYPE_STRING: (TextWriter, FRAMED),
    _F.TYPE_BYTES: (OctetsWriter, FRAMED),
    _F.TYPE_BOOL: (TruthWriter, VARINT),
    _F.TYPE_DOUBLE: (DoubleWriter, FIXED64),
    _F.TYPE_FLOAT: (SingleWriter, FIXED32),
}
_WHOLE: dict[int, tuple[type[WholeWriter], int]] = {
    **dict.fromkeys((_F.TYPE_INT32, _F.TYPE_INT64, _F.TYPE_UINT32, _F.TYPE_UINT64), (WholeWriter, VARINT)),
    **dict.fromkeys((_F.TYPE_SINT32, _F.TYPE_SINT64), (ZigzagWriter, VARINT)),
    **dict.fromkeys((_F.TYPE_FIXED32, _F.TYPE_SFIXED32), (Fixed32Writer, FIXED32)),
    **dict.fromkeys((_F.TYPE_FIXED64, _F.TYPE_SFIXED64), (Fixed64Writer, FIXED64)),
}


class ObjectWriters:
    """The writers of all message types of one dialect, made when first asked for."""

    def __init__(self, plans: Plans) -> None:
        self._plans = plans
        self._limit = min(plans.dialect.depth, DEEPEST)
        self._known: dict[Descriptor, ObjectWriter | None] = {}

    def of(self, message: Descriptor) -> ObjectWriter | None:
        """Give the writer of a message type; None where its JSON may be anything but an object of fields."""
        if message not in self._known:
            self._make(message)
        return self._known[message]

    def _make(self, message: Descriptor) -> None:
        shape = shape_of(message, self._plans.dialect)
        bodily = [member for member in shape.members if not member.from_header]
        if message.full_name in OWN_FORM or message.is_extendable or any(each.options.inline for each in bodily):
            self._known[message] = None
            return
        members = [member for member in bodily if not member.options.on_input]
        required = [member.name for member in members if member.options.required]
        names = {member.name for member in members}
        elsewhere = {spelling for member in bodily for spelling in member.spellings} - names
        # Known before its fields are looked at: they may hold the same message again.
        found = ObjectWriter(self._limit, required, elsewhere, ignores_unknown=shape.ignores_unknown)
        self._known[message] = found
        for member in members:
            found.fields[member.name] = self._field(member)

    def _field(self, member: Member) -> FieldWriter:
        found = self._usual(member) or self._other(member)
        found.takes_null = takes_null(member)
        oneof = member.field.containing_oneof
        if oneof is not None and len(oneof.fields) > 1:
            found.oneof = 1 << oneof.index
        return found

    def _usual(self, member: Member) -> FieldWriter | None:
        """Choose how a field is written; None where only its reader knows."""
        field = member.field
        if member.lenient or member.options.drop_nulls:
            return None
        if is_map(field):
            key, value = self._scalar(map_fields(field)[0], 1), self._one(value_member(member), 2)
            # True and false are text as keys.
            if value is None or isinstance(key, TruthWriter):
                return None
            return MapWriter(field.number, FRAMED, key, value, self._limit)
        one = self._one(member, field.number)
        return ListWriter(field.number, FRAMED, one) if one is not None and field.is_repeated else one

    def _one(self, member: Member, number: int) -> FieldWriter | None:
        """Choose how one value is written: that of the field, or of one item in its list or map."""
        field = member.field
        if field.message_type is not None:
            return self._message(field.message_type, number) if field.type == _F.TYPE_MESSAGE else None
        if member.options.raw:
            return RawWriter(number, FRAMED, only_objects=member.options.raw == json_pb2.RAW_OBJECT)
        if field.enum_type is None:
            return self._scalar(field, number)
        if field.enum_type.is_closed or takes_null(member) or self._plans.dialect.unknown_words is Stray.IGNORE:
            return None
        return WordWriter(number, VARINT, self._plans.words(field.enum_type).read)

    def _scalar(self, field: FieldDescriptor, number: int) -> FieldWriter:
        if field.type in _WHOLE:
            make, wire_type = _WHOLE[field.type]
            return make(number, wire_type, *WHOLE_NUMBERS[field.type])
        plain, wire_type = _PLAIN[field.type]
        return plain(number, wire_type)

    def _message(self, message: Descriptor, number: int) -> FieldWriter | None:
        name = message.full_name
        if name == TIMESTAMP:
            return TimeWriter(number, FRAMED)
        if name == DURATION:
            return DurationWriter(number, FRAMED)
        free = Writer(self._plans.dialect.depth)
        contents: dict[str, Callable[[Any, int], bytes]] = {STRUCT: free.struct, LIST: free.items}
        if name in contents:
            return FreeWriter(number, FRAMED, contents[name])
        members = self.of(message)
        return None if members is None else MessageWriter(number, FRAMED, members)

    def _other(self, member: Member) -> FieldWriter:
        assert member.field.containing_type is not None
        make, name = GetMessageClass(member.field.containing_type), member.field.name
        read = reader_of(member, self._plans)

        def field(value: object, depth: int) -> bytes:
            return make(**{name: read(value, depth)}).SerializePartialToString()

        return OtherWriter(member.field.number, FRAMED, field)
