"""What functions are given, and what clients are shown of it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobyard_server.apis.qinling.executions import PLAIN, shown_input, stored_input


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        (None, None),
        ("null", None),
        ('{"name": "Ann"}', {"name": "Ann"}),
        ("6", {PLAIN: "6"}),
        ('"str"', {PLAIN: '"str"'}),
        ("[1,2]", {PLAIN: "[1,2]"}),
        ("true", {PLAIN: "true"}),
        ("1.5", {PLAIN: "1.5"}),
        ("", {PLAIN: ""}),
        ("plain words", {PLAIN: "plain words"}),
    ],
)
def test_an_object_is_keyword_arguments_and_anything_else_one_argument(text, stored):
    assert stored_input(text) == stored


@given(st.text())
def test_what_is_no_object_is_shown_as_it_came(text):
    stored = stored_input(text)
    if stored is not None and set(stored) == {PLAIN}:
        assert shown_input(stored) == text or json.loads(text) == stored


@given(st.dictionaries(st.text(), st.integers() | st.text()))
def test_an_object_is_shown_as_json(value):
    shown = shown_input(stored_input(json.dumps(value)))
    assert shown is not None
    assert (json.loads(shown) if set(value) != {PLAIN} else {PLAIN: shown}) == {
        key: str(each) if set(value) == {PLAIN} else each for key, each in value.items()
    }


def test_nesting_without_end_is_text():
    text = "[" * 100_000
    assert stored_input(text) == {PLAIN: text}
