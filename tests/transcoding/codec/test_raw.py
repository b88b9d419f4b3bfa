"""Free JSON: kept byte for byte on the way in, printed byte for byte on the way out."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobyard_server.transcoding.codec import (
    PROTO3,
    CodecError,
    Naming,
    compile_decoder,
    compile_encoder,
    compile_field_decoder,
    print_tree,
    single_line,
)
from support.codec_messages import message

DIALECT = replace(PROTO3, naming=Naming.JSON)
ODD = [
    '{"b": 1, "a": 2}',
    "1.0",
    "9007199254740993",
    "-0",
    "1E+2",
    '"\\u0041\\n\\/"',
    '"é \\ud83d\\ude00"',
    "[ 1 ,\t2,\r\n3 ]",
    "true",
    "null",
    "{}",
    '{"$ref": "#/x", "type": ["a", null]}',
    "123456789012345678901234567890",
    '""',
    '"a:b\\u003ac"',
]


def read(source, name="Free"):
    found = message(name)()
    compile_decoder(found.DESCRIPTOR, DIALECT)(source.encode(), found)
    return found


def shown(found):
    return compile_encoder(found.DESCRIPTOR, DIALECT)(found).decode()


@pytest.mark.parametrize("raw", ODD)
def test_every_byte_is_kept(raw):
    assert read('{ "any" :  ' + raw + "  }").any == raw
    assert shown(message("Free")(any=raw)) == '{"any":' + raw + ',"mustBe":null}'


@pytest.mark.parametrize("raw", ODD)
def test_in_every_place(raw):
    wrapped = '{"x": ' + raw + " }"
    source = (
        '{"octets": RAW, "list": [RAW , RAW], "map": {"k:": OBJ}, "object":OBJ , "inner": {"name": "n", "spec":RAW},'
        ' "inners": [{"spec": RAW}, {}, {"size": 5, "spec": RAW}], "innerMap": {"k": {"spec":RAW }},'
        ' "again": {"again": {"any": RAW, "list": [ RAW]}}, "otherwise": RAW}'
    )
    found = read(source.replace("RAW", raw).replace("OBJ", wrapped))
    assert found == message("Free")(
        octets=raw.encode(),
        list=[raw, raw],
        map={"k:": wrapped},
        object=wrapped,
        inner={"name": "n", "spec": raw},
        inners=[{"spec": raw}, {}, {"size": 5, "spec": raw}],
        inner_map={"k": message("Inner")(spec=raw)},
        again={"again": {"any": raw, "list": [raw]}},
        spelled=raw,
    )
    again = read(shown(found).replace('"mustBe":null', '"mustBe":""'))
    found.must_be = found.again.must_be = found.again.again.must_be = '""'
    assert again == found


def test_names_may_be_escaped():
    assert read('{"\\u0061ny": 1.0, "inn\\u0065r": {"sp\\u0065c": 2.0}}') == message("Free")(
        any="1.0", inner={"spec": "2.0"}
    )


def test_absent_and_null():
    assert read("{}") == message("Free")()
    assert read('{"any": null, "object": null, "inner": null, "inners": null, "innerMap": null}') == message("Free")(
        any="null"
    )
    assert shown(message("Free")()) == '{"mustBe":null}'


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('{"object": [1]}', "object: must be an object, not a list"),
        ('{"object": "{}"}', "object: must be an object, not text"),
        ('{"object": 12}', "object: must be an object, not a number"),
        ('{"map": {"k": null}}', 'map["k"]: must not be null'),
        ('{"map": {"k": true}}', 'map["k"]: must be an object, not true or false'),
        ('{"list": {}}', "list: must be a list, not an object"),
        ('{"map": []}', "map: must be an object, not a list"),
        ('{"inner": []}', "inner: must be an object, not a list"),
        ('{"inners": [1]}', "inners[0]: must be an object, not a number"),
        ('{"innerMap": {"k": "x"}}', 'innerMap["k"]: must be an object, not text'),
        ('{"any": 1, "again": "x"}', "again: must be an object, not text"),
        ('{"any": {"a": 1, "a": 2}}', "any.a: is given twice"),
        ('{"any": [{"a": 1, "b": [{"c": 1, "c": 1}]}]}', "any[0].b[0].c: is given twice"),
        ('{"any": 1, "any": 1}', "any: is given twice"),
        ('{"spelled": 1, "otherwise": 1}', "otherwise: is given twice, also as spelled"),
        ('{"any": 1e999}', "is not JSON: number is infinity when parsed as double"),
        ('{"any": ' + "[" * 300 + "]" * 300 + "}", "is nested too deep"),
    ],
)
def test_refusals(source, said):
    with pytest.raises(CodecError) as caught:
        read(source)
    assert str(caught.value).startswith(said)


def test_a_whole_document_of_one_raw_field():
    fields = message("Free").DESCRIPTOR.fields_by_name
    found = message("Free")()
    compile_field_decoder(fields["any"], DIALECT)(b' {"a": 1.0} ', found)
    compile_field_decoder(fields["list"], DIALECT)(b"[1.0, null, 1E2]", found)
    compile_field_decoder(fields["inners"], DIALECT)(b'[{"spec": 1.00}]', found)
    compile_field_decoder(fields["inner"], DIALECT)(b'{"spec": 2.00}', found)
    assert found == message("Free")(
        any='{"a": 1.0}', list=["1.0", "null", "1E2"], inners=[{"spec": "1.00"}], inner={"spec": "2.00"}
    )
    with pytest.raises(CodecError, match=r"^is not JSON: "):
        compile_field_decoder(fields["any"], DIALECT)(b'1, "object": {}', found)


def test_bare_lists_keep_bytes_too():
    found = read('[{"spec": 1.0}, "text", {"name": "n", "spec": {"b": 1, "a": 2 } }]', "BareList")
    assert [item.inner.spec for item in found.items] == ["1.0", "", '{"b": 1, "a": 2 }']
    assert shown(found) == '[{"spec":1.0},"text",{"name":"n","spec":{"b": 1, "a": 2 }}]'
    assert read('{"items": []}', "BareList") == message("BareList")()


def test_from_a_tree_it_is_what_the_tree_prints_as():
    found = message("Free")()
    compile_decoder(found.DESCRIPTOR, DIALECT).tree({"any": {"a": [1.0, None]}, "inner": {"spec": "x"}}, found)
    assert found == message("Free")(any='{"a":[1.0,null]}', inner={"spec": '"x"'})


@pytest.mark.parametrize("tree", [{1: 2}, {"any": 1 << 70}, {"any": "\ud800"}, {"any": {1, 2}}, {"any": object()}])
def test_trees_that_are_no_json(tree):
    with pytest.raises(CodecError, match=r"^holds something that JSON has no form for"):
        compile_decoder(message("Free").DESCRIPTOR, DIALECT).tree(tree, message("Free")())


def test_what_is_added_to_a_tree_is_printed_with_it():
    encode = compile_encoder(message("Free").DESCRIPTOR, DIALECT)
    tree = encode.tree(message("Free")(any="1.0", inner={"name": "n"}))
    tree["inner"]["link"] = "/x"
    assert print_tree(tree) == b'{"any":1.0,"inner":{"name":"n","link":"/x"},"mustBe":null}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "{} {}",
        '{"a":1}, "admin":true',
        "nul",
        "01",
        "NaN",
        "[" * 500,
        '{"a":"\x01"}',
        "\ufeff1",
        "'a'",
    ],
)
def test_what_is_no_json_is_never_printed(text):
    if text:
        with pytest.raises(CodecError, match=r"^any: does not hold JSON$"):
            shown(message("Free")(any=text))
    with pytest.raises(CodecError, match=r"^octets: does not hold JSON$"):
        shown(message("Free")(octets=text.encode() + b"\xff"))


@pytest.mark.parametrize("levels", [1001, 5000, 100_000])
@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a":', "}")])
def test_what_is_nested_too_deep_is_not_printed(levels, opened, closed):
    with pytest.raises(CodecError, match=r"^any: is nested too deep$"):
        shown(message("Free")(any=opened * levels + "1" + closed * levels))


def test_what_is_deep_and_never_closed_is_not_printed_either():
    # Which of the two is found first depends on the Python that runs the parser.
    with pytest.raises(CodecError, match=r"^any: (does not hold JSON|is nested too deep)$"):
        shown(message("Free")(any="[" * 5000))


def test_what_is_long_or_looks_deep_is_printed():
    for text in ('[[1],{"a":[2]}]', f"[{'[],' * 5000}[]]", '["' + "[{" * 5000 + '\\\\","\\"' + "[" * 5000 + '"]'):
        json.loads(text)
        assert shown(message("Free")(any=text)) == f'{{"any":{text},"mustBe":null}}'


def test_what_is_no_object_is_not_printed_as_one():
    with pytest.raises(CodecError, match=r"^object: does not hold a JSON object$"):
        shown(message("Free")(object="[]"))
    assert shown(message("Free")(object=' {"a":1}')) == '{"object": {"a":1},"mustBe":null}'


def test_a_document_can_be_put_on_one_line():
    printed = compile_encoder(message("Free").DESCRIPTOR, DIALECT)(message("Free")(any='{\r\n"a":\n"b\\n"}'))
    line = single_line(printed)
    assert b"\n" not in line
    assert b"\r" not in line
    assert json.loads(line) == json.loads(printed)


JSON_TEXT = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
).flatmap(
    lambda tree: st.builds(
        lambda indent, ascii_only: json.dumps(tree, indent=indent, ensure_ascii=ascii_only),
        st.sampled_from([None, 0, 3, "\t"]),
        st.booleans(),
    )
)


@given(JSON_TEXT, JSON_TEXT)
@settings(deadline=None)
def test_any_json_comes_and_goes_unchanged(first, second):
    source = '{"any":' + first + ',"inners":[{"spec":' + second + '}],"list":[' + first + "," + second + "]}"
    # Texts of lone surrogates cannot be in a message at all.
    if "\\ud" in source:
        return
    found = read(source)
    assert (found.any, found.inners[0].spec, list(found.list)) == (first, second, [first, second])
    assert shown(found) == '{"any":' + first + ',"list":[' + first + "," + second + '],"inners":[{"spec":' + (
        second + '}],"mustBe":null}'
    )
