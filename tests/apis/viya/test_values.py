"""Durations, times, entity tags, URIs and arguments, as they are read and written."""

from __future__ import annotations

import pytest
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from hypothesis import given
from hypothesis import strategies as st

from jobyard.viya.v1 import definition_pb2
from jobyard_server.apis.viya import arguments, names, providers, stored, times
from jobyard_server.apis.viya.durations import seconds_of
from jobyard_server.domain.reason import Refused

DAY = 86_400


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("P30D", 30 * DAY),
        ("PT72H", 3 * DAY),
        ("P1Y2M3DT4H5M6.5S", 365 * DAY + 60 * DAY + 3 * DAY + 4 * 3600 + 5 * 60 + 6.5),
        ("PT0S", 0),
    ],
)
def test_durations(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "P", "PT", "P1DT", "3 days", "-P1D", "P1H", "PT1D", "P1.5D", "P1D ", "P9999Y"])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match=r"."):
        seconds_of(text)


@pytest.mark.parametrize(
    ("text", "tag"), [("2022-04-07T20:00:03.977Z", "l1pfbamh"), ("2021-09-14T20:49:33.351Z", "ktkjtb53")]
)
def test_entity_tags_are_those_of_real_servers(text, tag):
    assert times.tag_of(times.micros_of(text)) == tag
    assert times.text_of(times.micros_of(text)) == text


@given(st.integers(0, 4_000_000_000_000_000), st.integers(0, 4_000_000_000_000_000))
def test_a_change_never_shares_its_tag_with_the_one_before(before, now):
    after = times.after(before, now)
    assert after >= now
    assert times.tag_of(after) != times.tag_of(before)


def test_tags_differ_within_one_millisecond():
    assert times.tag_of(times.after(1_000_100, 1_000_900)) != times.tag_of(1_000_100)


@pytest.mark.parametrize(
    ("uri", "id_"),
    [
        ("/jobDefinitions/definitions/a-1", "a-1"),
        ("https://viya.example.com/jobDefinitions/definitions/a-1/", "a-1"),
        ("/mounted/jobDefinitions/definitions/a-1", "a-1"),
        ("/jobExecution/jobs/a-1", ""),
        ("/jobDefinitions/definitions/a/b", ""),
        ("a-1", ""),
    ],
)
def test_identifiers_in_uris(uri, id_):
    assert names.id_in(uri, "jobDefinitions/definitions") == id_


def test_arguments_become_text():
    values = {
        "text": Value(string_value=""),
        "whole": Value(number_value=14),
        "part": Value(number_value=0.5),
        "yes": Value(bool_value=True),
        "null": Value(null_value=0),
    }
    found = arguments.given(values, "arguments")
    assert found == {"text": "", "whole": "14", "part": "0.5", "yes": "true", "null": None}


@pytest.mark.parametrize(
    "value",
    [Value(struct_value=Struct()), Value(list_value=ListValue()), Value(number_value=1e19), Value(number_value=-1e300)],
)
def test_arguments_are_neither_lists_nor_objects_nor_numbers_that_lose_digits(value):
    with pytest.raises(Refused, match=r"arguments\.x"):
        arguments.given({"x": value}, "arguments")


def parameter(name, default=None, *, required=False):
    return definition_pb2.Parameter(name=name, default_value=default, required=required)


@pytest.mark.parametrize(
    ("given_", "parameters", "merged"),
    [
        ({}, [parameter("A", "1")], {"A": "1"}),
        ({"A": "2", "b": "3"}, [parameter("A", "1"), parameter("B", "4")], {"A": "2", "b": "3", "B": "4"}),
        ({"A": ""}, [parameter("A", "1", required=True)], {"A": ""}),
        # Null is said, so the default stays away, and null itself cannot be kept.
        ({"A": None}, [parameter("A", "1")], {}),
        ({}, [parameter("A")], {}),
    ],
)
def test_arguments_are_merged(given_, parameters, merged):
    assert arguments.merged(given_, parameters) == merged


@pytest.mark.parametrize(
    ("given_", "parameters"),
    [({}, [parameter("A", required=True)]), ({"A": None}, [parameter("A", "1", required=True)])],
)
def test_required_arguments_are_missed(given_, parameters):
    with pytest.raises(Refused, match=r"arguments\.A"):
        arguments.merged(given_, parameters)


@pytest.mark.parametrize(
    "spec",
    ['{"heartbeatInterval": -1}', '{"heartbeatInterval": true}', '{"heartbeatInterval": "1"}', '{"expiresAfter": 3}',
     '{"expiresAfter": "soon"}', '{"hearbeatInterval": 1}'],
)  # fmt: skip
def test_providers_that_nobody_understands(spec):
    with pytest.raises(Refused, match=r"executor\.spec\."):
        providers.check_provider(spec)


@pytest.mark.parametrize(
    ("check", "spec"),
    [
        (stored.check_definition_spec, '{"name": "x"}'),
        (stored.check_definition_spec, '{"type": "Compute"}'),
        (stored.check_definition_spec, '{"name": "x", "type": "Compute", "kode": ""}'),
        (stored.check_definition_spec, '{"name": "x", "type": "Compute", "parameters": [{}]}'),
        (stored.check_request_spec, '{"name": "x"}'),
        (stored.check_request_spec, '{"jobDefinition": {"type": "Compute"}, "expiresAfter": "later"}'),
        (stored.check_request_spec, '{"jobDefinition": {"type": "Compute"}, "createdByApplication": "a b"}'),
    ],
)
def test_what_operators_may_not_load(check, spec):
    with pytest.raises(Refused):
        check(spec)


def test_what_operators_may_load():
    assert stored.check_definition_spec('{"name": "x", "type": "Compute", "parameters": [{"name": "A"}]}') == {
        "name": "x",
        "type": "Compute",
        "parameters": '[{"name": "A"}]',
    }
    uri = "/jobDefinitions/definitions/x"
    assert stored.check_request_spec(f'{{"jobDefinitionUri": "{uri}"}}') == {"uri": uri}
    assert providers.check_provider('{"heartbeatInterval": 0, "expiresAfter": "P1D"}') == {}
