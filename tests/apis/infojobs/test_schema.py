"""Schemas of types: which are taken, and how a misfit is told."""

import json

import pytest

from jobyard_server.apis.infojobs.schema import check_definition, check_schema
from jobyard_server.domain.reason import Reason, Refused

PM = {
    "type": "object",
    "required": ["counter_names"],
    "properties": {"counter_names": {"type": "array", "items": {"type": "string"}}, "when": {"format": "date-time"}},
}


def refusal(call, *arguments):
    with pytest.raises(Refused) as caught:
        call(*arguments)
    return caught.value.refusal


@pytest.mark.parametrize("draft", ["04", "06", "07"])
def test_three_drafts_are_taken(draft):
    check_schema(json.dumps(PM | {"$schema": f"http://json-schema.org/draft-{draft}/schema#"}))


@pytest.mark.parametrize(
    "schema",
    [
        {"$schema": "https://json-schema.org/draft/2020-12/schema"},
        {"type": "objekt"},
        {"$ref": "http://127.0.0.1:1/elsewhere"},
        {"$ref": "file:///etc/passwd"},
        {"properties": {"a": {"$ref": "#/definitions/missing"}}},
        [],
        "text",
        True,
    ],
)
def test_others_are_refused_when_they_are_registered(schema):
    assert refusal(check_schema, json.dumps(schema)).reason is Reason.INVALID_FIELD


def test_no_schema_named_means_draft_4():
    # In draft 4 `exclusiveMinimum` is a boolean, in later ones a number.
    check_schema(json.dumps({"properties": {"a": {"minimum": 1, "exclusiveMinimum": True}}}))
    assert refusal(check_schema, json.dumps({"properties": {"a": {"exclusiveMinimum": 1}}})).violations


def test_a_missing_field_is_named():
    found = refusal(check_definition, json.dumps(PM), "{}")
    assert found.reason is Reason.JOB_DEFINITION_INVALID
    assert found.metadata["problem"] == "Required field 'counter_names' missing."


def test_a_missing_field_further_in_is_named_with_its_place():
    schema = json.dumps({"properties": {"a": {"type": "object", "required": ["b"]}}})
    assert refusal(check_definition, schema, '{"a": {}}').metadata["problem"] == "Required field 'a.b' missing."


def test_a_wrong_field_is_named():
    found = refusal(check_definition, json.dumps(PM), '{"counter_names": [1]}')
    assert found.metadata["problem"].startswith("Field 'counter_names.0':")


def test_formats_are_looked_at():
    found = refusal(check_definition, json.dumps(PM), '{"counter_names": [], "when": "soon"}')
    assert found.metadata["problem"].startswith("Field 'when':")


@pytest.mark.parametrize(
    ("format_", "since"),
    [("email", 4), ("uri-reference", 6), ("json-pointer", 6), ("date", 7), ("time", 7), ("regex", 7), ("iri", 7)],
)
def test_each_draft_has_its_own_formats(format_, since):
    for draft in (4, 6, 7):
        named = {"$schema": f"http://json-schema.org/draft-0{draft}/schema#", "properties": {"a": {"format": format_}}}
        misfit = json.dumps(named), '{"a": "\\\\ (["}'
        if draft < since:
            check_definition(*misfit)
        else:
            assert refusal(check_definition, *misfit).metadata["problem"].startswith("Field 'a':")


@pytest.mark.parametrize("number", [2**63, 2**64, -(2**63) - 2, 10**30])
def test_integers_are_integers_however_long(number):
    schema = json.dumps({"properties": {"a": {"type": "integer", "enum": [number]}}})
    check_definition(schema, json.dumps({"a": number}))
    assert refusal(check_definition, schema, json.dumps({"a": number + 1})).metadata["problem"].startswith("Field 'a':")


def test_long_integers_may_stand_deep():
    check_definition('{"required": ["a"]}', f'{{"a": {"[" * 1000}{2**64}{"]" * 1000}}}')


@pytest.mark.parametrize("definition", ["", "null", "[]", '"text"', "1", "{"])
def test_only_objects_are_definitions(definition):
    assert refusal(check_definition, "{}", definition).reason is Reason.JOB_DEFINITION_INVALID


def test_what_fits_passes():
    check_definition(json.dumps(PM), '{"counter_names": ["a"], "when": "2026-01-01T00:00:00Z", "more": 12345678901234}')
