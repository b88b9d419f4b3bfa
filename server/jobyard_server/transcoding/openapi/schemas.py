"""The JSON Schema of every message and enum that a document speaks of, as the codec of its face spells them."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from jobyard.rest.v1 import json_pb2
from jobyard_server.transcoding.codec import known
from jobyard_server.transcoding.codec.declared import (
    Member,
    enum_of,
    is_map,
    is_null,
    map_fields,
    message_of,
    shape_of,
    words_of,
)
from jobyard_server.transcoding.codec.dialect import Dialect, Unset
from jobyard_server.transcoding.openapi.comments import Comments
from jobyard_server.transcoding.openapi.constraints import Schema, constrain, is_required, rules_of

_F: Final = FieldDescriptor
_SCALARS: Final[dict[int, Schema]] = {
    _F.TYPE_BOOL: {"type": "boolean"},
    _F.TYPE_STRING: {"type": "string"},
    _F.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    _F.TYPE_DOUBLE: {"type": "number", "format": "double"},
    _F.TYPE_FLOAT: {"type": "number", "format": "float"},
    _F.TYPE_INT32: {"type": "integer", "format": "int32"},
    _F.TYPE_SINT32: {"type": "integer", "format": "int32"},
    _F.TYPE_SFIXED32: {"type": "integer", "format": "int32"},
    _F.TYPE_UINT32: {"type": "integer", "format": "int64", "minimum": 0},
    _F.TYPE_FIXED32: {"type": "integer", "format": "int64", "minimum": 0},
}
_WIDE: Final = {
    _F.TYPE_INT64: "int64",
    _F.TYPE_SINT64: "int64",
    _F.TYPE_SFIXED64: "int64",
    _F.TYPE_UINT64: "uint64",
    _F.TYPE_FIXED64: "uint64",
}
_WELL_KNOWN: Final[dict[str, Schema]] = {
    known.DURATION: {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$"},
    known.MASK: {"type": "string"},
    known.STRUCT: {"type": "object"},
    known.LIST: {"type": "array", "items": {}},
    known.VALUE: {},
    known.ANY: {"type": "object", "properties": {"@type": {"type": "string"}}, "required": ["@type"]},
}
_UNIX_TIMES: Final = frozenset({json_pb2.TIME_FORM_UNIX_SECONDS, json_pb2.TIME_FORM_UNIX_MILLIS})


class Schemas:
    """Collects the schemas of one document."""

    def __init__(self, dialect: Dialect, comments: Comments, error: Schema) -> None:
        """`error` is the schema of an error, for fields that are printed as one."""
        self._dialect = dialect
        self._comments = comments
        self._error = error
        self.components: dict[str, Schema] = {}

    def of_message(self, message: Descriptor) -> Schema:
        """Give a reference to the schema of a message."""
        if message.full_name == known.TIMESTAMP:
            return {"type": "string", "format": "date-time"}
        if message.full_name in known.WRAPPERS:
            return _nullable(self.of_field(message.fields_by_name["value"]))
        if message.full_name in _WELL_KNOWN:
            return dict(_WELL_KNOWN[message.full_name])
        return self._component(message)

    def of_object(self, message: Descriptor, without: Container[str]) -> Schema:
        """Give the schema of a message less some of its fields, in place: a body beside which they are bound."""
        shape = shape_of(message, self._dialect)
        members = [m for m in shape.members if m.field.name not in without and not m.from_header]
        return self._object(message, members, open_=shape.ignores_unknown)

    def of_field(self, field: FieldDescriptor, member: Member | None = None) -> Schema:
        """Give the schema of the value of a field."""
        if is_map(field):
            _, value = map_fields(field)
            schema: Schema = {"type": "object", "additionalProperties": self._single(value, None)}
        elif field.is_repeated:
            schema = {"type": "array", "items": self._single(field, member)}
        else:
            schema = self._single(field, member)
        return constrain(schema, rules_of(field))

    def describe(self, full_name: str) -> Schema:
        """Give the comment of something as a description, or nothing."""
        text = self._comments.of(full_name)
        return {"description": text} if text else {}

    def _single(self, field: FieldDescriptor, member: Member | None) -> Schema:
        raw = member.options.raw if member else json_pb2.RAW_UNSPECIFIED
        if raw:
            return {"type": "object"} if raw == json_pb2.RAW_OBJECT else {}
        if field.type in _WIDE:
            if member is not None and member.number:
                return {"type": "integer", "format": _WIDE[field.type]}
            return {"type": "string", "format": _WIDE[field.type]}
        if field.type == _F.TYPE_ENUM:
            return {"type": "null"} if is_null(field) else self._enum(enum_of(field))
        if field.type in {_F.TYPE_MESSAGE, _F.TYPE_GROUP}:
            return self._message_field(field, member)
        return dict(_SCALARS[field.type])

    def _message_field(self, field: FieldDescriptor, member: Member | None) -> Schema:
        message = message_of(field)
        if member is not None and member.options.as_error:
            return dict(self._error)
        if member is not None and message.full_name == known.TIMESTAMP and member.options.time in _UNIX_TIMES:
            return {"type": "integer", "format": "int64"}
        return self.of_message(message)

    def _enum(self, enum: EnumDescriptor) -> Schema:
        name = enum.full_name
        if name not in self.components:
            words = words_of(enum, self._dialect)
            told = [value for value in enum.values if value.number in words.printed]
            lines = [f"* `{words.printed[v.number]}`: {self._comments.of(f'{name}.{v.name}')}" for v in told]
            text = "\n".join([self._comments.of(name), *lines]).strip()
            printed = list(dict.fromkeys(words.printed.values()))
            self.components[name] = {"type": "string", "enum": printed} | ({"description": text} if text else {})
        return {"$ref": f"#/components/schemas/{name}"}

    def _component(self, message: Descriptor) -> Schema:
        name = message.full_name
        if name not in self.components:
            self.components[name] = {}  # taken, for messages that hold themselves
            shape = shape_of(message, self._dialect)
            whole = self._object(message, list(shape.members), open_=shape.ignores_unknown)
            alone = [self.of_field(member.field, member) for member in shape.members if member.options.inline]
            self.components[name] = {"anyOf": alone, **self.describe(name)} if alone else whole
        return {"$ref": f"#/components/schemas/{name}"}

    def _object(self, message: Descriptor, members: list[Member], *, open_: bool) -> Schema:
        properties = {member.name: self._property(member) for member in members}
        required = [m.name for m in members if m.options.required or is_required(m.field)]
        schema: Schema = {"type": "object", **self.describe(message.full_name), "properties": properties}
        if required:
            schema["required"] = required
        if not open_:
            schema["additionalProperties"] = False
        return schema

    def _property(self, member: Member) -> Schema:
        schema = self.of_field(member.field, member)
        if member.unset is Unset.NULL and member.field.has_presence:
            schema = _nullable(schema)
        extra: dict[str, Any] = self.describe(member.field.full_name)
        if member.options.on_input or extra.get("description", "").startswith("Output only."):
            extra["readOnly"] = True
        return {**schema, **extra}


def _nullable(schema: Schema) -> Schema:
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    kind = schema.get("type")
    if isinstance(kind, str):
        return {**schema, "type": [kind, "null"]}
    return schema
