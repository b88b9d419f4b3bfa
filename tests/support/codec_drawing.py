"""Messages of any kind, drawn for property tests of the codec."""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

from support.codec_messages import message

TYPE = FieldDescriptor
SCALARS: dict[int, st.SearchStrategy[Any]] = {
    TYPE.CPPTYPE_INT32: st.integers(-(1 << 31), (1 << 31) - 1),
    TYPE.CPPTYPE_INT64: st.integers(-(1 << 63), (1 << 63) - 1),
    TYPE.CPPTYPE_UINT32: st.integers(0, (1 << 32) - 1),
    TYPE.CPPTYPE_UINT64: st.integers(0, (1 << 64) - 1),
    TYPE.CPPTYPE_DOUBLE: st.floats(allow_nan=False),
    # The largest float prints as text that json_format itself refuses to read.
    TYPE.CPPTYPE_FLOAT: st.floats(width=32, allow_nan=False).filter(lambda value: abs(value) < 3.4e38),
    TYPE.CPPTYPE_BOOL: st.booleans(),
    TYPE.CPPTYPE_ENUM: st.sampled_from([0, 1, 5, -1, 77]),
}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
FREE = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
SPECIAL: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "google.protobuf.Timestamp": st.fixed_dictionaries(
        {"seconds": st.integers(-62_135_596_800, 253_402_300_799), "nanos": st.integers(0, 999_999_999)}
    ),
    "google.protobuf.Duration": st.builds(
        lambda seconds, nanos: {"seconds": seconds, "nanos": -nanos if seconds < 0 else nanos},
        st.integers(-315_576_000_000, 315_576_000_000),
        st.integers(0, 999_999_999),
    ),
    "google.protobuf.FieldMask": st.fixed_dictionaries(
        {"paths": st.lists(st.from_regex(r"[a-z]+(_[a-z]+)*(\.[a-z]+)*", fullmatch=True), max_size=3)}
    ),
}
FREE_FORM = {
    "google.protobuf.Struct": st.dictionaries(TEXT, FREE, max_size=4),
    "google.protobuf.ListValue": st.lists(FREE, max_size=4),
    "google.protobuf.Value": FREE,
}


def values(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    """Draw one value of a field."""
    if field.message_type is not None:
        return messages(field.message_type.full_name, GetMessageClass(field.message_type), depth - 1)
    if field.type == TYPE.TYPE_BYTES:
        return st.binary(max_size=20)
    if field.enum_type is not None and field.enum_type.full_name == "google.protobuf.NullValue":
        return st.just(0)
    return TEXT if field.type == TYPE.TYPE_STRING else SCALARS[field.cpp_type]


@st.composite
def messages(draw: st.DrawFn, name: str, make: type[Message], depth: int) -> Message:
    """Draw a message with some of its fields set."""
    if name in FREE_FORM:
        return json_format.ParseDict(draw(FREE_FORM[name]), make())
    if name in SPECIAL:
        return make(**draw(SPECIAL[name]))
    found: Any = make()
    if name == "google.protobuf.Any":
        found.Pack(draw(messages("codec.v1.Scalars", message("Scalars"), depth - 1)))
        return found
    fields = [field for field in make.DESCRIPTOR.fields if depth > 0 or field.message_type is None]
    for field in draw(st.lists(st.sampled_from(fields), max_size=6, unique_by=lambda field: field.number)):
        fill(draw, found, field, depth)
    return found


def fill(draw: st.DrawFn, found: Any, field: FieldDescriptor, depth: int) -> None:
    """Set a field to what is drawn."""
    held = getattr(found, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        for each, item in draw(st.dictionaries(values(key, 0), values(value, depth), max_size=3)).items():
            if value.message_type is None:
                held[each] = item
            else:
                held[each].CopyFrom(item)
    elif field.is_repeated:
        held.extend(draw(st.lists(values(field, depth), max_size=3)))
    elif field.message_type is not None:
        held.CopyFrom(draw(values(field, depth)))
    else:
        setattr(found, field.name, draw(values(field, depth)))


ANY_MESSAGE = st.sampled_from(["Scalars", "Collections", "WellKnown", "Tree"]).flatmap(
    lambda name: messages(f"codec.v1.{name}", message(name), 3)
)
