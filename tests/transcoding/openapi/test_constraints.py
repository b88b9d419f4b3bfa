"""What protovalidate refuses, the schemas of a document refuse too."""

import pytest

from jobyard_server.transcoding.codec.dialect import Dialect
from jobyard_server.transcoding.openapi.comments import Comments
from jobyard_server.transcoding.openapi.constraints import is_required
from jobyard_server.transcoding.openapi.schemas import Schemas
from support.trial import pool_of

FIELDS = {
    "string word = 1 [(buf.validate.field).string = {min_len: 2, max_len: 9, pattern: '^[a-z]+$'}]": {
        "type": "string",
        "minLength": 2,
        "maxLength": 9,
        "pattern": "^[a-z]+$",
    },
    "string choice = 2 [(buf.validate.field).string = {in: ['a', 'b']}]": {"type": "string", "enum": ["a", "b"]},
    "int32 level = 3 [(buf.validate.field).int32 = {gte: 0, lt: 10}]": {
        "type": "integer",
        "format": "int32",
        "minimum": 0,
        "exclusiveMaximum": 10,
    },
    "double share = 4 [(buf.validate.field).double = {gt: 0, lte: 1}]": {
        "type": "number",
        "format": "double",
        "exclusiveMinimum": 0.0,
        "maximum": 1.0,
    },
    # Written as a string: JSON Schema has no words for the range of what it says.
    "int64 wide = 5 [(buf.validate.field).int64 = {gte: 0}]": {"type": "string", "format": "int64"},
    "repeated string tags = 6 [(buf.validate.field).repeated = {max_items: 3, unique: true, "
    "items: {string: {max_len: 4}}}]": {
        "type": "array",
        "items": {"type": "string", "maxLength": 4},
        "maxItems": 3,
        "uniqueItems": True,
    },
    "map<string, string> labels = 7 [(buf.validate.field).map = {max_pairs: 2, values: {string: {min_len: 1}}}]": {
        "type": "object",
        "additionalProperties": {"type": "string", "minLength": 1},
        "maxProperties": 2,
    },
    "string free = 8": {"type": "string"},
    "string needed = 9 [(buf.validate.field).required = true]": {"type": "string"},
    "repeated string some = 10 [(buf.validate.field).repeated.min_items = 1]": {
        "type": "array",
        "items": {"type": "string"},
        "minItems": 1,
    },
}


@pytest.fixture(scope="module")
def message(tmp_path_factory):
    fields = "\n".join(f"{field};" for field in FIELDS)
    source = f'syntax = "proto3"; package bound.v1; import "buf/validate/validate.proto"; message Bound {{ {fields} }}'
    return pool_of("bound.proto", source, tmp_path_factory.mktemp("bound")).message_types_by_name["Bound"]


@pytest.mark.parametrize("number", range(1, len(FIELDS) + 1))
def test_rules_are_printed(message, number):
    schemas = Schemas(Dialect(), Comments(b""), {})
    field = message.fields_by_number[number]
    assert schemas.of_field(field) == list(FIELDS.values())[number - 1]


def test_what_a_rule_wants_is_required(message):
    needed = {field.name for field in message.fields if is_required(field)}
    assert needed == {"word", "needed", "some"}
    schemas = Schemas(Dialect(), Comments(b""), {})
    schemas.of_message(message)
    assert set(schemas.components["bound.v1.Bound"]["required"]) == needed
