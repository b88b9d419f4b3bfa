"""Message types into the printers of their wire bytes, by what the plans of the codec know of their members."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass

from jobyard_server.transcoding.codec.declared import Member, is_map, is_null, map_fields, shape_of
from jobyard_server.transcoding.codec.decode_fields import value_member
from jobyard_server.transcoding.codec.encode_fields import Plans, fallback_of, show_one
from jobyard_server.transcoding.codec.encode_scalars import WIDE, double, single
from jobyard_server.transcoding.codec.encode_struct import Reader
from jobyard_server.transcoding.codec.known import DURATION, LIST, OWN_FORM, STATUS, STRUCT, TIMESTAMP
from jobyard_server.transcoding.codec.raw import fragment
from jobyard_server.transcoding.codec.times import TIME_FORMS, duration_text
from jobyard_server.transcoding.codec.wire.encode_values import (
    DoublePrinter,
    FieldPrinter,
    FixedPrinter,
    FreePrinter,
    MapPrinter,
    MessagePrinter,
    ObjectPrinter,
    OctetsPrinter,
    OtherPrinter,
    PairPrinter,
    SinglePrinter,
    TextPrinter,
    TimePrinter,
    TruthPrinter,
    WholePrinter,
    WordPrinter,
    ZigzagPrinter,
)
from jobyard_server.transcoding.codec.wire.varints import FIXED32, FIXED64, FRAMED, VARINT

_F = FieldDescriptor
_UNSIGNED = frozenset({_F.TYPE_UINT32, _F.TYPE_UINT64, _F.TYPE_FIXED32, _F.TYPE_FIXED64})
_WHOLE: dict[int, tuple[type[WholePrinter], int]] = {
    **dict.fromkeys((_F.TYPE_INT32, _F.TYPE_INT64, _F.TYPE_UINT32, _F.TYPE_UINT64), (WholePrinter, VARINT)),
    **dict.fromkeys((_F.TYPE_SINT32, _F.TYPE_SINT64), (ZigzagPrinter, VARINT)),
    **dict.fromkeys((_F.TYPE_FIXED32, _F.TYPE_SFIXED32), (FixedPrinter, FIXED32)),
    **dict.fromkeys((_F.TYPE_FIXED64, _F.TYPE_SFIXED64), (FixedPrinter, FIXED64)),
}
_PLAIN: dict[int, Callable[[], FieldPrinter]] = {
    _F.TYPE_STRING: lambda: TextPrinter(FRAMED),
    _F.TYPE_BYTES: lambda: OctetsPrinter(FRAMED),
    _F.TYPE_BOOL: lambda: TruthPrinter(VARINT),
    _F.TYPE_DOUBLE: lambda: DoublePrinter(FIXED64, double),
    _F.TYPE_FLOAT: lambda: SinglePrinter(FIXED32, single),
}
# Fields are looked up by their numbers in a list, which those of higher ones would make long.
_HIGHEST = 1000


class ObjectPrinters:
    """The printers of all message types of one dialect, made when first asked for."""

    def __init__(self, plans: Plans) -> None:
        self._plans = plans
        self._known: dict[Descriptor, ObjectPrinter | None] = {}

    def of(self, message: Descriptor) -> ObjectPrinter | None:
        """Give the printer of a message type; None where only the long way prints it."""
        if message not in self._known:
            self._make(message)
        return self._known[message]

    def _make(self, message: Descriptor) -> None:
        members = shape_of(message, self._plans.dialect).members
        highest = max((member.field.number for member in members), default=0)
        own_form = message.full_name in OWN_FORM or message.is_extendable
        if own_form or highest > _HIGHEST or any(map(_is_unusual, members)):
            self._known[message] = None
            return
        # Known before its fields are looked at: they may hold the same message again.
        found = self._known[message] = ObjectPrinter(self._plans.dialect.depth, highest)
        for member in members:
            found.member(member.field.number, member.name, self._field(member), fallback_of(member, self._plans))

    def _field(self, member: Member) -> FieldPrinter:
        if is_map(member.field):
            key = map_fields(member.field)[0]
            return MapPrinter(FRAMED, self._scalar(key, as_text=True), self._one(value_member(member)))
        found = self._one(member)
        found.repeated = member.field.is_repeated
        return found

    def _one(self, member: Member) -> FieldPrinter:
        """Choose how one value is printed: that of the field, or of one item in its list or map."""
        field = member.field
        if field.message_type is not None:
            return self._message(member, field.message_type)
        if member.options.raw:
            kind = member.options.raw
            return OtherPrinter(FRAMED, lambda source, _depth: fragment(source, kind))
        if field.enum_type is not None:
            words = self._plans.words(field.enum_type)
            return WordPrinter(VARINT, words.printed, declared=words.declared)
        return self._scalar(field, as_text=field.type in WIDE and not member.number)

    def _scalar(self, field: FieldDescriptor, *, as_text: bool) -> FieldPrinter:
        if field.type not in _WHOLE:
            return _PLAIN[field.type]()
        make, wire_type = _WHOLE[field.type]
        return make(wire_type, signed=field.type not in _UNSIGNED, as_text=as_text)

    def _message(self, member: Member, message: Descriptor) -> FieldPrinter:
        name = message.full_name
        if name == TIMESTAMP:
            form = member.options.time
            return PairPrinter(FRAMED, TIME_FORMS[form]) if form else TimePrinter(FRAMED)
        if name == DURATION:
            return PairPrinter(FRAMED, duration_text)
        free = Reader(self._plans.dialect.depth)
        contents: dict[str, Callable[[bytes, int, int, int], Any]] = {STRUCT: free.struct, LIST: free.items}
        if name in contents:
            return FreePrinter(FRAMED, contents[name])
        members = None if member.options.as_error and name == STATUS else self.of(message)
        if members is not None:
            return MessagePrinter(FRAMED, members)
        parse, show = GetMessageClass(message).FromString, show_one(member, self._plans)
        assert show is not None
        return OtherPrinter(FRAMED, lambda source, depth: show(parse(source), depth))


def _is_unusual(member: Member) -> bool:
    """Tell members that take another form than their own, or that the wire tells less of than the message."""
    field = member.field
    if field.enum_type is not None and (field.enum_type.is_closed or is_null(field)):
        return True
    return member.options.inline or field.type == _F.TYPE_GROUP
