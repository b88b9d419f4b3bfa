"""The rules of protovalidate on a field, in the words of JSON Schema."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from buf.validate import validate_pb2

Schema = dict[str, Any]

_SAME = {
    "min_len": "minLength",
    "max_len": "maxLength",
    "pattern": "pattern",
    "gte": "minimum",
    "lte": "maximum",
    "gt": "exclusiveMinimum",
    "lt": "exclusiveMaximum",
    "min_items": "minItems",
    "max_items": "maxItems",
    "unique": "uniqueItems",
    "min_pairs": "minProperties",
    "max_pairs": "maxProperties",
}
_NUMBERS = frozenset({"double", "float", "int32", "sint32", "sfixed32", "uint32", "fixed32"})
_BOUNDED = _NUMBERS | {"string", "repeated", "map"}


def rules_of(field: FieldDescriptor) -> validate_pb2.FieldRules:
    """Give the rules of a field."""
    return field.GetOptions().Extensions[validate_pb2.field]


def is_required(field: FieldDescriptor) -> bool:
    """Tell whether a request without the field is refused."""
    rules = rules_of(field)
    return rules.required or rules.string.min_len > 0 or rules.repeated.min_items > 0


def constrain(schema: Schema, rules: validate_pb2.FieldRules) -> Schema:
    """Add what the rules allow to the schema of a field, or of an item of it."""
    kind = rules.WhichOneof("type")
    if kind not in _BOUNDED or "$ref" in schema:
        return schema
    limits: Message = getattr(rules, kind)
    for part, value in limits.ListFields():
        if part.name in _SAME:
            schema[_SAME[part.name]] = value
        elif part.name == "in" and kind in {"string", *_NUMBERS}:
            schema["enum"] = list(value)
    if kind == "repeated" and isinstance(schema.get("items"), dict):
        constrain(schema["items"], rules.repeated.items)
    if kind == "map" and isinstance(schema.get("additionalProperties"), dict):
        constrain(schema["additionalProperties"], rules.map.values)
    return schema
