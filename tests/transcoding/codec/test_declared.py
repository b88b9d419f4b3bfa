"""The options of jobyard.rest.v1: how a face prints and reads members where proto3 JSON would do it otherwise."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from google.rpc.status_pb2 import Status

from jobyard.rest.v1 import face_pb2, json_pb2
from jobyard_server.transcoding.codec import (
    PROTO3,
    CodecError,
    Dialect,
    Naming,
    Stray,
    Unset,
    compile_decoder,
    compile_encoder,
    compile_field_encoder,
)
from support.codec_messages import message

STRICT = replace(PROTO3, naming=Naming.JSON)


def shown(found, dialect=STRICT):
    return json.loads(compile_encoder(found.DESCRIPTOR, dialect)(found))


def read(name, tree, dialect=STRICT):
    found = message(name)()
    compile_decoder(found.DESCRIPTOR, dialect)(json.dumps(tree).encode(), found)
    return found


def refusal(name, tree, dialect=STRICT):
    with pytest.raises(CodecError) as caught:
        read(name, tree, dialect)
    return str(caught.value)


def test_a_face_becomes_a_dialect():
    face = face_pb2.Face(
        naming=face_pb2.NAMING_PROTO, unknown_fields=json_pb2.STRICTNESS_IGNORE, unset=json_pb2.UNSET_NULL
    )
    dialect = Dialect.of_face(face, ["a"])
    assert dialect == Dialect(
        naming=Naming.PROTO, unknown_fields=Stray.IGNORE, unset=Unset.NULL, profiles=frozenset({"a"})
    )
    assert Dialect.of_face(face_pb2.Face()) == Dialect(naming=Naming.JSON)


def test_unset_members_by_field():
    assert shown(message("UnsetByField")()) == {
        "always": "",
        "alwaysWide": "0",
        "alwaysList": [],
        "alwaysMap": {},
        "null": None,
        "nullTime": None,
        "nullZero": 0,
        "defaultText": "",
        "defaultTime": None,
        "defaultMessage": {},
        "defaultWrapper": "0",
        "alwaysState": None,
    }


def test_set_members_are_printed_in_the_order_of_their_declaration():
    found = message("UnsetByField")(omitted="o", null=0, state=1, always_list=["x"], default_time={"seconds": 1})
    assert list(shown(found))[:5] == ["omitted", "always", "alwaysWide", "alwaysList", "alwaysMap"]
    assert shown(found) | {"omitted": "o", "null": 0, "state": "running", "alwaysList": ["x"]} == shown(found)
    assert shown(found)["defaultTime"] == "1970-01-01T00:00:01Z"
    assert list(shown(message("Shuffled")(first="1", second="2", third="3"))) == ["third", "first", "second"]


def test_unset_members_by_message():
    assert shown(message("UnsetByMessage")()) == {
        "name": None,
        "count": 0,
        "inner": None,
        "sizes": [],
        "done": False,
        "ratio": 0,
    }
    assert shown(message("UnsetByMessage")(count=1 << 60, secret="s"))["count"] == 1 << 60


@pytest.mark.parametrize(
    ("unset", "printed"),
    [
        (Unset.OMIT, {}),
        (Unset.ALWAYS, {"plum": None}),
        (Unset.NULL, {"name": "", "left": None, "apple": None}),
        (Unset.DEFAULT, {"name": "", "left": {}, "apple": "", "pearCount": "0", "leafColor": "COLOR_UNSPECIFIED"}),
    ],
)
def test_unset_members_by_face(unset, printed):
    found = shown(message("Tree")(), replace(STRICT, unset=unset))
    for name, value in printed.items():
        if unset is Unset.ALWAYS:
            assert name not in found
        else:
            assert found[name] == value
    assert (found == {}) is (unset is Unset.OMIT)
    assert read("Tree", dict.fromkeys(found)) == message("Tree")(stone=0 if "stone" in found else None)


def test_trees_are_the_callers_own():
    encode = compile_encoder(message("UnsetByField").DESCRIPTOR, STRICT)
    for _ in range(2):
        tree = encode.tree(message("UnsetByField")())
        tree["alwaysList"].append("x")
        tree["alwaysMap"]["x"] = "y"
        tree["defaultMessage"]["x"] = "y"
    assert encode.tree(message("UnsetByField")())["alwaysList"] == []
    assert encode.tree(message("UnsetByField")())["defaultMessage"] == {}


def test_a_message_says_how_it_is_read():
    found = read("UnsetByMessage", {"name": 5, "count": 7.9, "sizes": 3, "whatever": {"x": 1}, "ratio": 1})
    assert found == message("UnsetByMessage")(name="5", count=7, sizes=[3], ratio=1)
    assert refusal("UnsetByMessage", {"inner": {"whatever": 1}}).startswith("inner.whatever: is not known here")


@pytest.mark.parametrize(
    ("value", "count"),
    [(5, 5), ("5", 5), (5.7, 5), (-5.7, -5), ("5.0", 5), (True, 1), ("1e3", 1000), (None, 0)],
)
def test_lenient_numbers(value, count):
    assert read("Reading", {"owner": "o", "count": value}).count == count


@pytest.mark.parametrize("value", ["five", "", " 5", "5.7", "1e999", 1 << 31, "2147483648.5", [], {}])
def test_numbers_that_nothing_can_be_made_of(value):
    assert refusal("Reading", {"owner": "o", "count": value}).startswith("count: must be a whole number")


@pytest.mark.parametrize(("value", "text"), [("a", "a"), (5, "5"), (1.5, "1.5"), (True, "true"), (False, "false")])
def test_lenient_text(value, text):
    assert read("Reading", {"owner": "o", "text": value, "words": value}) == message("Reading")(
        owner="o", text=text, words=[text]
    )


def test_lenience_has_bounds():
    assert refusal("Reading", {"owner": "o", "text": []}) == "text: must be text, not a list"
    assert refusal("Reading", {"owner": "o", "words": [["a"]]}) == "words[0]: must be text, not a list"
    assert refusal("Reading", {"owner": 5}) == "owner: must be text, not a number"


@pytest.mark.parametrize("value", ["mine", None, 5, {}])
def test_members_that_only_the_server_sets(value):
    with pytest.raises(CodecError) as caught:
        read("Reading", {"owner": "o", "id": value})
    assert (str(caught.value), caught.value.reason) == (
        "id: is set by the server and cannot be sent",
        "FIELD_READ_ONLY",
    )
    assert read("Reading", {"owner": "o", "created": value}) == message("Reading")(owner="o")


def test_hidden_members_and_headers():
    for name in ("etag", "ifMatch"):
        with pytest.raises(CodecError) as caught:
            read("Reading", {"owner": "o", name: "x"})
        assert caught.value.path == name
        assert caught.value.reason == "FIELD_UNKNOWN"
    assert shown(message("Reading")(etag="secret", job_name="n")) == {"jobName": "n"}


def test_members_of_several_names():
    for name in ("jobName", "title", "label"):
        assert read("Reading", {"owner": "o", name: "n"}).job_name == "n"
    assert refusal("Reading", {"owner": "o", "title": "a", "label": "b"}) == "title: is given twice, also as label"
    assert refusal("Reading", {"owner": "o", "jobName": "a", "label": "b"}) == "label: is given twice, also as jobName"
    assert refusal("Reading", {"owner": "o", "job_name": "a"}).startswith("job_name: is not known here")


def test_required_members():
    assert refusal("Reading", {}) == "owner: is required"
    assert refusal("Reading", {"owner": None, "count": "five"}) == "owner: is required"
    assert read("Reading", {"owner": ""}).owner == ""


def test_nulls_may_be_dropped():
    found = read("Reading", {"owner": "o", "labels": {"a": None, "b": "c"}, "sizes": [1, None, 2]})
    assert found == message("Reading")(owner="o", labels={"b": "c"}, sizes=[1, 2])


@pytest.mark.parametrize(
    ("profiles", "word"), [((), "FINSHED"), (("right-spelling",), "FINISHED"), (("other",), "FINSHED")]
)
def test_words_on_the_wire(profiles, word):
    dialect = replace(STRICT, profiles=frozenset(profiles))
    assert shown(message("Reading")(state=2), dialect) == {"state": word}
    for spelled in ("FINSHED", "FINISHED"):
        assert read("Reading", {"owner": "o", "state": spelled}, dialect).state == 2
    for refused in (2, "2", "STATE_FINISHED", "finished", "STATE_LOST", ""):
        assert refusal("Reading", {"owner": "o", "state": refused}, dialect).startswith("state: must be one of running")


def test_values_without_a_word():
    assert shown(message("Reading")(state=0)) == {}
    for number in (3, 77):
        with pytest.raises(CodecError, match=f"^state: has the value {number}, which has no word here$"):
            shown(message("Reading")(state=number))


def test_times_in_every_form():
    stamp = {"seconds": 1768474830, "nanos": 120_004_999}
    found = message("Times")(
        **dict.fromkeys(("plain", "seconds", "millis", "micros", "unix_seconds", "unix_millis", "offset"), stamp),
        list=[stamp],
    )
    printed = {
        "plain": "2026-01-15T11:00:30.120004999Z",
        "seconds": "2026-01-15T11:00:30Z",
        "millis": "2026-01-15T11:00:30.120Z",
        "micros": "2026-01-15T11:00:30.120004Z",
        "unixSeconds": 1768474830,
        "unixMillis": 1768474830120,
        "offset": "2026-01-15T11:00:30.120+00:00",
        "list": [1768474830120],
    }
    assert shown(found) == printed
    again = read("Times", printed)
    assert shown(again) == printed | {"plain": "2026-01-15T11:00:30.120004999Z"}
    assert again.unix_millis.nanos == 120_000_000
    assert read("Times", {"unixMillis": "2026-01-15T12:00:30.5+01:00"}).unix_millis.ToJsonString() == (
        "2026-01-15T11:00:30.500Z"
    )
    assert refusal("Times", {"plain": 5}).startswith("plain: must be a time as in RFC 3339")
    assert refusal("Times", {"unixSeconds": 1e18}) == "unixSeconds: must be a time from the year 1 to the year 9999"


def test_times_before_1970():
    found = read("Times", {"unixMillis": -1, "unixSeconds": -1.5, "plain": "1969-12-31T23:59:59.999Z"})
    assert found.unix_millis == found.plain
    assert (found.unix_seconds.seconds, found.unix_seconds.nanos) == (-2, 500_000_000)
    assert shown(found)["unixMillis"] == -1


def test_a_message_that_is_a_bare_list():
    bare = message("BareList")
    assert shown(bare()) == []
    found = read("BareList", [{"name": "a"}, "text"])
    assert found == bare(items=[{"inner": {"name": "a"}}, {"text": "text"}])
    assert shown(found) == [{"name": "a"}, "text"]
    assert refusal("BareList", [5]) == "[0]: must be an object, not a number"
    assert refusal("BareList", [{"name": 5}]) == "[0].name: must be text, not a number"


def test_errors_among_items_are_printed_by_the_face():
    found = message("BareList")(items=[{"error": Status(code=5, message="gone")}, {"inner": {}}, {}])
    assert shown(found) == [{"code": 5, "message": "gone"}, {}, {}]
    dialect = replace(STRICT, print_status=lambda status: {"fault": status.message})
    assert shown(found, dialect) == [{"fault": "gone"}, {}, {}]


def test_one_field_can_be_the_whole_answer():
    found = message("UnsetByField")(always_list=["a"], default_message={"size": 5})
    fields = found.DESCRIPTOR.fields_by_name
    for name, printed in {
        "always_list": b'["a"]',
        "always_map": b"{}",
        "always_wide": b'"0"',
        "default_message": b'{"size":5}',
        "omitted": b'""',
    }.items():
        assert compile_field_encoder(fields[name], STRICT)(found) == printed


def test_two_members_of_one_name_are_refused_at_the_start():
    clash = message("Clash").DESCRIPTOR
    with pytest.raises(ValueError, match=r"codec\.v1\.Clash: two members are spelled name"):
        compile_decoder(clash, STRICT)
