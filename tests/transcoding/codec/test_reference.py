"""The codec against protobuf's own json_format: the same JSON, the same messages, for any message at all."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from jobyard_server.transcoding.codec import PROTO3, CodecError, Unset, compile_decoder, compile_encoder
from support.codec_drawing import ANY_MESSAGE, TEXT
from support.codec_messages import message


@given(ANY_MESSAGE)
@settings(deadline=None)
def test_what_is_printed_is_what_json_format_prints(found):
    ours = json.loads(compile_encoder(found.DESCRIPTOR)(found))
    assert ours == json.loads(json_format.MessageToJson(found))


@given(ANY_MESSAGE)
@settings(deadline=None)
def test_what_json_format_prints_is_read_back(found):
    again = type(found)()
    compile_decoder(found.DESCRIPTOR)(json_format.MessageToJson(found).encode(), again)
    assert again == found


@given(ANY_MESSAGE)
@settings(deadline=None)
def test_what_is_printed_is_read_back(found):
    again = type(found)()
    compile_decoder(found.DESCRIPTOR)(compile_encoder(found.DESCRIPTOR)(found), again)
    assert again == found


@given(ANY_MESSAGE)
@settings(deadline=None)
def test_json_format_reads_what_is_printed(found):
    again = type(found)()
    json_format.Parse(compile_encoder(found.DESCRIPTOR)(found), again)
    assert again == found


LOOSE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | st.sampled_from(["1", "-1", "1.5", "1e3", "NaN", "1s", "2020-01-01T00:00:00Z", "AQ==", "COLOR_RED", "a,bC"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def documents(draw: st.DrawFn) -> tuple[type[Message], dict[str, Any]]:
    """Draw an object whose members are those of a message, and whose values are anything."""
    make = message(draw(st.sampled_from(["Scalars", "Collections", "WellKnown", "Tree"])))
    names = st.sampled_from([field.json_name for field in make.DESCRIPTOR.fields])
    return make, draw(st.dictionaries(names, LOOSE, max_size=3))


@given(documents())
@settings(deadline=None, max_examples=400)
def test_what_is_read_is_what_json_format_reads(drawn):
    make, tree = drawn
    # json_format crashes on null for a list or a map of google.protobuf.Value.
    tree = {name: value for name, value in tree.items() if value is not None or name not in {"values", "free"}}
    ours, theirs = make(), make()
    try:
        compile_decoder(make.DESCRIPTOR)(json.dumps(tree).encode(), ours)
    except CodecError:
        return  # json_format takes more than the specification does; see test_strictness.
    json_format.ParseDict(tree, theirs)
    assert ours == theirs


def test_the_largest_float_comes_back():
    largest = message("Scalars")(a_float=3.4028234663852886e38)
    printed = compile_encoder(largest.DESCRIPTOR)(largest)
    assert printed == b'{"aFloat":3.4028235e+38}'
    with pytest.raises(json_format.ParseError):
        json_format.Parse(printed, message("Scalars")())
    again = message("Scalars")()
    compile_decoder(again.DESCRIPTOR)(printed, again)
    assert again == largest


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_floats_come_back_from_the_fewest_digits(value):
    found = message("Scalars")(a_float=value)
    printed = compile_encoder(found.DESCRIPTOR)(found)
    again = message("Scalars")()
    compile_decoder(again.DESCRIPTOR)(printed, again)
    assert again.a_float == value
    assert math.copysign(1, again.a_float) == math.copysign(1, value)
    digits = json.loads(printed).get("aFloat", 0)
    assert float(f"{digits:.9g}") == digits


@pytest.mark.parametrize(
    ("number", "printed"),
    [
        (0.0, b"0"),
        (-0.0, b"-0.0"),
        (1e5, b"100000"),
        (-(2.0**53), b"-9007199254740992"),
        (2.0**53 + 2, b"9007199254740994"),
        (1e16 - 2, b"9999999999999998"),
        (1e16, b"1e16"),
        (-(2.0**60), b"-1.152921504606847e18"),
    ],
)
def test_whole_numbers_print_without_a_fraction(number, printed):
    found = message("WellKnown")(wrapped_double={"value": number})
    found.value.number_value = number
    found.struct["x"] = number
    source = compile_encoder(found.DESCRIPTOR)(found)
    shown = (b'"struct":{"x":%b}', b'"value":%b', b'"wrappedDouble":%b')
    # Printers differ in whether they put a plus into an exponent.
    assert all(part % printed in source.replace(b"e+", b"e") for part in shown)
    again = message("WellKnown")()
    compile_decoder(again.DESCRIPTOR)(source, again)
    assert again == found
    assert math.copysign(1, again.value.number_value) == math.copysign(1, number)


def test_zeros_are_printed_like_other_whole_numbers():
    found = message("Scalars")()
    tree = compile_encoder(found.DESCRIPTOR, replace(PROTO3, unset=Unset.ALWAYS)).tree(found)
    assert json.dumps([tree["aDouble"], tree["aFloat"]]) == "[0, 0]"
