"""Variables: read from a submit, merged with those of the action, not a digit of them changed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobyard_server.apis.dataone.variables import MAX_DEPTH, merged, own, requested
from jobyard_server.domain.reason import Refused

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(alphabet='ab"\\é\0 ', max_size=2), VALUES, max_size=4)


@given(OBJECTS, OBJECTS, st.sampled_from([None, 2]), st.booleans())
def test_the_submit_wins(action, submit, indent, ascii_only):
    text = json.dumps(submit, indent=indent, ensure_ascii=ascii_only)
    assert json.loads(merged(own(action), requested(text, "v"))) == action | submit


def test_what_the_submit_says_stays_byte_for_byte():
    said = '{ "n": 9007199254740993, "f":1.50, "e":1E5,"o": {"p":[1,  2]} ,"s":"\\u0041" }'
    assert merged(own({"n": 1, "m": 2}), requested(said, "v")) == (
        '{"m":2,"n": 9007199254740993, "f":1.50, "e":1E5,"o": {"p":[1,  2]} ,"s":"\\u0041"}'
    )


@pytest.mark.parametrize("text", ["", "{}", " { } "])
def test_nothing_said_leaves_those_of_the_action(text):
    assert merged(own({"a": "1"}), requested(text, "v")) == '{"a":"1"}'
    assert merged(own({}), requested(text, "v")) == "{}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "is not a JSON object"),
        ("1", "is not a JSON object"),
        ("null", "is not a JSON object"),
        ("{", "is not JSON"),
        ('{"a":NaN}', "is not JSON"),
        ('{"a":"\\ud800"}', "is not JSON"),
        ('{"a":' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "}", "is nested deeper"),
    ],
)
def test_what_is_no_object_is_refused(text, problem):
    with pytest.raises(Refused, match=rf"action_variables: {problem}"):
        requested(text, "action_variables")


def test_nesting_up_to_the_limit_is_read():
    text = '{"a":' + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1) + "}"
    assert requested(text, "v").text == text


def test_many_siblings_are_not_deep():
    assert requested(json.dumps({"a": [[]] * 1000}), "v").names == {"a"}
