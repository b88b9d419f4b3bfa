"""Members taken out of JSON text as they are written there."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobyard_server.domain.json_text import member

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"payload":1.0}', "1.0"),
        (' { "a" : [1, {"payload": 2}] , "payload" :\t{ "x" : 1e400 } } ', '{ "x" : 1e400 }'),
        ('{"payload":9007199254740993}', "9007199254740993"),
        ('{"payload":1,"payload":"2"}', '"2"'),
        ('{"pay\\u006coad":null}', "null"),
        ('{"a":"\\"payload\\":1"}', None),
        ("{}", None),
        ("[]", None),
        ('"payload"', None),
        ("", None),
    ],
)
def test_finds_the_text_of_a_member(text, found):
    assert member(text, "payload") == found


@given(st.dictionaries(st.text(max_size=6), VALUES, max_size=5), st.sampled_from([None, 1, 3]))
def test_every_member_of_any_object_is_found(values, indent):
    text = json.dumps(values, indent=indent)
    for name, value in values.items():
        assert json.loads(member(text, name)) == value
