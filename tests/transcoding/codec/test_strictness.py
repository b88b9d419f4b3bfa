"""What the decoder refuses, and in which words: a client is told which member is wrong, and why."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest
from google.protobuf.struct_pb2 import Value

from jobyard_server.transcoding.codec import (
    PROTO3,
    CodecError,
    Naming,
    Stray,
    compile_decoder,
    compile_encoder,
    compile_field_decoder,
)
from support.codec_messages import message

NESTED = 100
FREE_LEVELS = "of 100 levels, an object takes three and a list two"
SMALLEST_WHOLE = "must be a whole number from -2147483648 to 2147483647"


def read(name, source, dialect=PROTO3):
    found = message(name)()
    compile_decoder(found.DESCRIPTOR, dialect)(source if isinstance(source, bytes) else source.encode(), found)
    return found


def refusal(name, source, dialect=PROTO3):
    with pytest.raises(CodecError) as caught:
        read(name, source, dialect)
    return str(caught.value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "is not JSON: "),
        ("{", "is not JSON: "),
        ("{} {}", "is not JSON: "),
        ('{"aBool": NaN}', "is not JSON: "),
        ('{"aBool": 01}', "is not JSON: "),
        (b'{"aString": "\xff"}', "is not JSON: "),
        (b'{"aString": "\\ud800"}', "is not JSON: "),
        (b"\xef\xbb\xbf{}", "is not JSON: "),
        ("[]", "must be an object, not a list"),
        ("null", "must be an object, not null"),
        ('"{}"', "must be an object, not text"),
        ('{"aBool": "true"}', "aBool: must be true or false, not text"),
        ('{"aBool": 1}', "aBool: must be true or false, not a number"),
        ('{"aString": 1}', "aString: must be text, not a number"),
        ('{"aString": {}}', "aString: must be text, not an object"),
        ('{"anInt32": 1.5}', "anInt32: must be a whole number"),
        ('{"anInt32": true}', "anInt32: must be a whole number, not true or false"),
        ('{"anInt32": 2147483648}', f"anInt32: {SMALLEST_WHOLE}"),
        ('{"anInt32": "2147483648"}', f"anInt32: {SMALLEST_WHOLE}"),
        ('{"anInt32": " 1"}', "anInt32: must be a whole number, not other text"),
        ('{"anInt32": "+1"}', "anInt32: must be a whole number, not other text"),
        ('{"anInt32": "0x10"}', "anInt32: must be a whole number, not other text"),
        ('{"anInt32": "1_000"}', "anInt32: must be a whole number, not other text"),
        ('{"anInt32": "\u0661"}', "anInt32: must be a whole number, not other text"),
        ('{"anInt32": "1e999999999"}', "anInt32: must be a whole number"),
        ('{"anInt32": "1e-99999999999999999999"}', "anInt32: must be a whole number"),
        ('{"anInt32": "1.0000000000000000000000000000000000000001"}', "anInt32: must be a whole number"),
        ('{"anInt32": "' + "9" * 5000 + '"}', "anInt32: must be a whole number, not other text"),
        ('{"aUint32": -1}', "aUint32: must be a whole number from 0 to 4294967295"),
        ('{"anInt64": 9223372036854775808}', "anInt64: must be a whole number from -9223372036854775808 to"),
        ('{"aUint64": 18446744073709551616}', "aUint64: must be a whole number from 0 to 18446744073709551615"),
        ('{"aFloat": 3.5e38}', "aFloat: must be a number that fits 32 bits"),
        ('{"aFloat": "x"}', "aFloat: must be a number, not other text"),
        ('{"aDouble": "1e999"}', "aDouble: must be a number that fits 64 bits"),
        ('{"aDouble": "inf"}', "aDouble: must be a number, not other text"),
        ('{"aDouble": " 1"}', "aDouble: must be a number, not other text"),
        ('{"someBytes": "a"}', "someBytes: must be base64"),
        ('{"someBytes": "!!!!"}', "someBytes: must be base64"),
        ('{"someBytes": "AQ==\\n"}', "someBytes: must be base64"),
        ('{"someBytes": 1}', "someBytes: must be base64 text, not a number"),
        ('{"aColor": "COLOR_PINK"}', "aColor: must be one of COLOR_UNSPECIFIED, COLOR_RED, COLOR_CRIMSON, "),
        ('{"aColor": "1"}', "aColor: must be one of"),
        ('{"aColor": 1.5}', "aColor: must be a whole number"),
        ('{"aColor": 2147483648}', "aColor: must be one of"),
        ('{"aColour": 1}', "aColour: is not known here, did you mean aColor?"),
        ('{"zzz": 1}', "zzz: is not known here"),
        ('{"": 1}', '"": is not known here'),
        ('{"": 1, "": 2}', '"": is given twice'),
        ('{"aBool": true, "aBool": true}', "aBool: is given twice"),
        ('{"aBool": true, "a_bool": true}', "a_bool: is given twice, also as aBool"),
        ('{"a_bool": true, "aBool": true}', "a_bool: is given twice, also as aBool"),
    ],
)
def test_scalars(source, said):
    assert refusal("Scalars", source).startswith(said)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('{"numbers": 1}', "numbers: must be a list, not a number"),
        ('{"numbers": [1, null]}', "numbers[1]: must not be null"),
        ('{"texts": ["a", 1]}', "texts[1]: must be text, not a number"),
        ('{"texts": ["a", null]}', "texts[1]: must not be null"),
        ('{"numbers": [1, "x"]}', "numbers[1]: must be a whole number, not other text"),
        ('{"messages": [{}, {"aBool": 1}]}', "messages[1].aBool: must be true or false, not a number"),
        ('{"labels": []}', "labels: must be an object, not a list"),
        ('{"labels": {"a": null}}', 'labels["a"]: must not be null'),
        ('{"labels": {"a": "b", "a": "c"}}', "labels.a: is given twice"),
        ('{"counts": {"01": 1}}', 'counts["01"]: must have a whole number from -2147483648 to 2147483647 as its key'),
        ('{"counts": {"-0": 1}}', 'counts["-0"]: must have a whole number'),
        ('{"counts": {"2147483648": 1}}', 'counts["2147483648"]: must have a whole number'),
        ('{"favourites": {"yes": "COLOR_RED"}}', 'favourites["yes"]: must have true or false as its key'),
        ('{"byName": {"x": {"aColour": 1}}}', 'byName["x"].aColour: is not known here'),
        ('{"times": {"1": "noon"}}', 'times["1"]: must be a time as in RFC 3339'),
    ],
)
def test_collections(source, said):
    assert refusal("Collections", source).startswith(said)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('{"time": "2026-01-15T11:00:30"}', "time: must be a time as in RFC 3339"),
        ('{"time": "2026-01-15T11:00:30+0100"}', "time: must be a time as in RFC 3339"),
        ('{"time": "2026-01-15 11:00:30Z"}', "time: must be a time as in RFC 3339"),
        ('{"time": "2026-02-30T11:00:30Z"}', "time: must be a time as in RFC 3339"),
        ('{"time": "2026-01-15T24:00:00Z"}', "time: must be a time as in RFC 3339"),
        ('{"time": "2026-01-15T11:00:60Z"}', "time: must be a time as in RFC 3339"),
        ('{"time": "2026-01-15T11:00:30.Z"}', "time: must be a time as in RFC 3339"),
        ('{"time": "2026-01-15T11:00:30.0123456789Z"}', "time: must be a time as in RFC 3339"),
        ('{"time": "0001-01-01T00:00:00+00:01"}', "time: must be a time from the year 1 to the year 9999"),
        ('{"time": "9999-12-31T23:59:59-00:01"}', "time: must be a time from the year 1 to the year 9999"),
        ('{"time": 5}', "time: must be a time as in RFC 3339, for example 2026-01-15T11:00:30Z, not a number"),
        ('{"duration": "1"}', "duration: must be a duration in seconds"),
        ('{"duration": "1 s"}', "duration: must be a duration in seconds"),
        ('{"duration": "315576000001s"}', "duration: must be a duration of at most 315576000000 seconds"),
        ('{"duration": 1}', "duration: must be a duration in seconds"),
        ('{"mask": "a_b"}', "mask: must list fields in lowerCamelCase"),
        ('{"mask": "a,,b"}', "mask: must be a list of fields separated by single commas"),
        ('{"mask": ["a"]}', "mask: must be text that lists fields, not a list"),
        ('{"struct": []}', "struct: must be an object, not a list"),
        ('{"list": {}}', "list: must be a list, not an object"),
        ('{"any": {"aBool": true}}', "any.@type: is required"),
        ('{"any": {"@type": 1}}', "any.@type: must be text that names a type, not a number"),
        ('{"any": {"@type": "codec.v1.Scalars"}}', "any.@type: must be a type as in"),
        ('{"any": {"@type": "a/no.such.Type"}}', "any.@type: names a type that is not known here"),
        ('{"any": {"@type": "a/codec.v1.Scalars", "x": 1}}', "any.x: is not known here"),
        ('{"any": {"@type": "a/google.protobuf.Duration"}}', "any.value: is required"),
        ('{"any": {"@type": "a/google.protobuf.Duration", "value": 1}}', "any.value: must be a duration"),
        ('{"any": {"@type": "a/google.protobuf.Duration", "value": "1s", "x": 1}}', "any.x: is not known here"),
        ('{"wrappedInt32": "x"}', "wrappedInt32: must be a whole number, not other text"),
    ],
)
def test_well_known_types(source, said):
    assert refusal("WellKnown", source).startswith(said)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('{"apple": "a", "pearCount": 1}', "pearCount: cannot be given together with apple"),
        ('{"apple": "a", "stone": null}', "stone: cannot be given together with apple"),
        ('{"plum": {}, "leaf_color": 0}', "leaf_color: cannot be given together with plum"),
        ('{"left": {"branches": [{"left": {"name": 5}}]}}', "left.branches[0].left.name: must be text, not a number"),
        ('{"named": {"a b": {"x": 5}}}', 'named["a b"].x: is not known here'),
        ('{"left": {"name": "a", "name": "b"}}', "left.name: is given twice"),
        ('{"branches": [{}, {"name": "a", "name": "b"}]}', "branches[1].name: is given twice"),
        ('{"wellKnown": {"struct": {"a": {"b": 1, "b": 2}}}}', "wellKnown.struct.a.b: is given twice"),
        ('{"name": "\\u003a", "name": ":"}', "name: is given twice"),
    ],
)
def test_trees(source, said):
    assert refusal("Tree", source).startswith(said)


def test_null_is_the_same_as_absent():
    assert read("Tree", '{"apple": null, "pearCount": 7, "left": null, "branches": null, "named": null}') == message(
        "Tree"
    )(pear_count=7)


def test_null_is_the_same_as_absent_for_lists_and_maps_of_values():
    assert read("Collections", '{"values": null, "free": null}') == message("Collections")()
    assert read("Collections", '{"values": [null], "free": {"a": null}}') == message("Collections")(
        values=[{"null_value": 0}], free={"a": Value(null_value=0)}
    )


def test_an_escaped_colon_is_no_duplicate():
    assert read("Tree", '{"name": "\\u003a:\\u003A", "from": "{\\":\\":}"}') == message("Tree")(
        name=":::", **{"from": '{":":}'}
    )


@pytest.mark.parametrize(
    ("naming", "accepted", "refused"),
    [
        (Naming.JSON, ["aBool", "aString"], ["a_bool", "a_string"]),
        (Naming.PROTO, ["a_bool", "a_string"], ["aBool", "aString"]),
        (Naming.EITHER, ["aBool", "a_bool"], ["abool"]),
    ],
)
def test_names_are_spelled_in_one_way(naming, accepted, refused):
    dialect = replace(PROTO3, naming=naming)
    for name in accepted:
        read("Scalars", json.dumps({name: None}), dialect)
    for name in refused:
        assert refusal("Scalars", json.dumps({name: None}), dialect).startswith(f"{name}: is not known here")


def test_masks_are_spelled_like_the_members():
    dialect = replace(PROTO3, naming=Naming.PROTO)
    found = read("WellKnown", '{"mask": "user_name,a.b_c"}', dialect)
    assert list(found.mask.paths) == ["user_name", "a.b_c"]
    assert compile_encoder(found.DESCRIPTOR, dialect)(found) == b'{"mask":"user_name,a.b_c"}'
    assert compile_encoder(found.DESCRIPTOR)(found) == b'{"mask":"userName,a.bC"}'


def test_unknown_members_may_be_ignored():
    dialect = replace(PROTO3, unknown_fields=Stray.IGNORE)
    source = '{"x": [{"deep": {"deeper": 1}}], "name": "a", "left": {"y": null}, "stone": null}'
    assert read("Tree", source, dialect) == message("Tree")(name="a", left={}, stone=0)
    assert refusal("Tree", '{"leafColor": "COLOR_PINK"}', dialect).startswith("leafColor: must be one of")
    assert refusal("Tree", '{"x": 1, "x": 1}', dialect) == "x: is given twice"


@pytest.mark.parametrize(
    ("opening", "closing", "levels"),
    [
        ('{"left":', "}", NESTED),
        ('{"named":{"a":', "}}", NESTED),
        ('{"wellKnown":{"any":{"@type":"a/codec.v1.Tree","left":', "}}}", NESTED),
        ('{"wellKnown":{"struct":{"a":', "}}}", NESTED),
        ('{"x":', "}", 5000),
        ("[", "]", 5000),
        ('{"left":[', "]}", 2000),
        ('{"left":1,"left":{"x":', "}}", 600),
    ],
)
def test_deep_documents_are_refused(opening, closing, levels):
    said = refusal("Tree", opening * levels + "{}" + closing * levels)
    assert "deep" in said or "must be an object" in said or "is not known here" in said or "not JSON" in said
    assert len(said) < 1000


def test_depth_is_counted_as_protobuf_counts_it():
    for levels, fits in ((99, True), (100, False)):
        source = '{"left":' * levels + "{}" + "}" * levels
        if fits:
            found = read("Tree", source)
            assert message("Tree").FromString(found.SerializeToString()) == found
        else:
            assert refusal("Tree", source).endswith("is nested more than 100 levels deep")


@pytest.mark.parametrize(
    ("opening", "inmost", "closing", "most"),
    [('{"a":', "1", "}", 32), ('{"a":', "{}", "}", 32), ("[", "1", "]", 49), ("[", "", "]", 49), ("[", "{}", "]", 48)],
)
def test_free_json_fits_what_protobuf_can_parse(opening, inmost, closing, most):
    # A Value and what it holds are messages, and so is every entry of a Struct.
    for levels, fits in ((most, True), (most + 1, False)):
        source = '{"value":' + opening * levels + inmost + closing * levels + "}"
        if fits:
            found = read("WellKnown", source)
            assert message("WellKnown").FromString(found.SerializeToString()) == found
            assert json.loads(compile_encoder(found.DESCRIPTOR)(found)) == json.loads(source)
        else:
            assert refusal("WellKnown", source).endswith(f"is nested too deep: {FREE_LEVELS}")


def test_messages_nested_too_deep_are_not_printed():
    deep = message("Tree")()
    at = deep
    for _ in range(sys.getrecursionlimit() * 2):
        at = at.left
    at.name = "bottom"
    with pytest.raises(CodecError, match="is nested more than 100 levels deep"):
        compile_encoder(deep.DESCRIPTOR)(deep)


def test_free_json_nested_too_deep_is_not_printed():
    deep = message("WellKnown")()
    at = deep.list
    for _ in range(400):
        at = at.values.add().list_value
    with pytest.raises(CodecError, match=FREE_LEVELS):
        compile_encoder(deep.DESCRIPTOR)(deep)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"time": {"seconds": 253402300800}}, "time: must be a time from the year 1 to the year 9999"),
        ({"time": {"nanos": -1}}, "time: must be a valid time"),
        ({"duration": {"seconds": 315576000001}}, "duration: must be a duration of at most 315576000000 seconds"),
        ({"duration": {"seconds": 1, "nanos": -1}}, "duration: must be a duration whose two parts have the same sign"),
        ({"mask": {"paths": ["fooBar"]}}, "mask: holds a path with capitals, which JSON cannot show"),
        ({"mask": {"paths": ["foo__bar"]}}, "mask: holds a path whose underscores JSON cannot show"),
        ({"any": {"type_url": "a/no.such.Type", "value": b"x"}}, "any.@type: names a type that is not known here"),
        ({"any": {"type_url": "a/codec.v1.Scalars", "value": b"\xff"}}, "any: does not hold what its type says"),
    ],
)
def test_messages_that_json_cannot_show_are_refused(fields, said):
    found = message("WellKnown")(**fields)
    with pytest.raises(CodecError) as caught:
        compile_encoder(found.DESCRIPTOR)(found)
    assert str(caught.value) == said


def test_numbers_that_json_has_no_digits_for():
    found = message("WellKnown")()
    found.value.number_value = float("nan")
    with pytest.raises(CodecError, match="value: holds a number that JSON has no digits for"):
        compile_encoder(found.DESCRIPTOR)(found)


def test_errors_echo_little_and_printably():
    said = refusal("Tree", json.dumps({"x" * 10_000: 1}))
    assert len(said) < 200
    said = refusal("Tree", json.dumps({"left": {"a\x00\u202e": 1}}))
    assert said.isprintable()
    # A way of a hundred long names is cut as a whole.
    name = "n" * 64
    source = ('{"named":{"' + name + '":') * 40 + '{"x":1}' + "}}" * 40
    assert len(refusal("Tree", source)) < 600


def test_one_field_can_be_the_whole_document():
    fields = message("Collections").DESCRIPTOR.fields_by_name
    found = message("Collections")(texts=["kept"])
    compile_field_decoder(fields["numbers"])(b"[1, 2]", found)
    compile_field_decoder(fields["by_name"])(b'{"a": {"aBool": true}}', found)
    assert found == message("Collections")(
        texts=["kept"], numbers=[1, 2], by_name={"a": message("Scalars")(a_bool=True)}
    )
    for source, said in ((b"null", "must not be null"), (b"{}", "must be a list, not an object")):
        with pytest.raises(CodecError, match=said):
            compile_field_decoder(fields["numbers"])(source, found)
    with pytest.raises(CodecError, match=r"^\[1\]: must be a whole number"):
        compile_field_decoder(fields["numbers"])(b'[1, "x"]', found)


def test_what_was_there_stays():
    found = message("Tree")(name="a", left={"name": "b"}, branches=[{"name": "c"}])
    compile_decoder(found.DESCRIPTOR)(b'{"from": "d", "left": {"from": "e"}}', found)
    assert found == message("Tree")(
        name="a", left={"name": "b", "from": "e"}, branches=[{"name": "c"}], **{"from": "d"}
    )
