"""Splitting: nothing is lost, added, changed or out of order, and who gets what agrees with a naive reference."""

from __future__ import annotations

import json
from collections import defaultdict

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobyard_server.apis.ncmp.routing import ProducerKey, Route, Routes, candidates, route_of, upwards
from jobyard_server.apis.ncmp.splitting import Splitter
from jobyard_server.domain.reason import Reason, Refused

SEGMENTS = st.sampled_from(["a", "b", "cc", "a=1", "é"])
NAMES = st.lists(SEGMENTS, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
ROUTES = st.builds(
    Route,
    dmi=st.sampled_from(["http://a", "http://b"]),
    read=st.sampled_from(["", "http://r"]),
    write=st.sampled_from(["", "http://w"]),
    producer=st.sampled_from(["", "p", "q"]),
    tag=st.sampled_from(["", "t"]),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
ENDINGS = st.sampled_from(["", "/", "/x/y", "#attributes/a", "/#q", "/x#a/b"])


def raw(operation):
    return msgspec.Raw(operation if isinstance(operation, bytes) else json.dumps(operation).encode())


def begin(key):
    return b'{"data":['


def split(operations, known, steps=1, **options):
    splitter = Splitter(begin, "data", **options)
    size = -(-len(operations) // steps) or 1
    for start in range(0, len(operations), size):
        step = operations[start : start + size]
        splitter.take(step, known)
    return splitter.end()


def naive(path, known):
    """Every beginning of a path that ends where a segment does, the longest first."""
    segments = path.split("#")[0].split("/")
    for end in range(len(segments), 0, -1):
        found = known.get("/".join(segments[:end]))
        if found is not None:
            return found
    return None


@given(known=st.dictionaries(NAMES, ROUTES, max_size=6), name=NAMES, ending=ENDINGS)
def test_the_longest_beginning_of_a_path_is_found(known, name, ending):
    path = name + ending
    assert route_of(path, known) == naive(path, known)
    assert candidates([path]) == set(upwards(path))


@given(known=st.dictionaries(NAMES, ROUTES, min_size=1, max_size=6), data=st.data(), steps=st.integers(1, 3))
def test_every_operation_arrives_once_unchanged_and_in_order(known, data, steps):
    names = st.sampled_from(sorted(known))
    made = st.fixed_dictionaries(
        {"path": st.builds(str.__add__, names, ENDINGS), "op": st.sampled_from(["add", "remove"]), "value": VALUES},
        optional={"operationId": st.text(max_size=4) | st.none()},
    )
    operations = data.draw(st.lists(made, max_size=12))
    expected = defaultdict(list)
    for operation in operations:
        route = naive(operation["path"], known)
        expected[ProducerKey(route.write or route.dmi, route.producer)].append(
            {"operationId": None, **operation, "moduleSetTag": route.tag or None}
        )
    parts = split([raw(one) for one in operations], known, steps)
    assert {part.key: json.loads(bytes(part.body))["data"] for part in parts} == expected
    splitter = Splitter(begin, "data")
    assert list(splitter.paths(list(map(raw, operations)))) == [one["path"].split("#")[0] for one in operations]
    assert [part.key for part in parts] == list(expected), "in the order in which they are met"
    assert [part.count for part in parts] == [len(found) for found in expected.values()]


def test_values_keep_every_byte():
    source = b'{ "value" : {"n": 1.10, "u":"\\u00e9", "big":123456789012345678901234567890} , "op":"add","path":"/a"}'
    (part,) = split([raw(source)], {"/a": Route("http://a")})
    assert bytes(part.body) == (
        b'{"data":[{"path":"/a","op":"add","moduleSetTag":null,'
        b'"value":{"n": 1.10, "u":"\\u00e9", "big":123456789012345678901234567890},"operationId":null}]}'
    )


def test_numbers_are_taken_for_texts_where_a_text_is_wanted():
    (part,) = split([raw({"path": "/a", "op": "add", "operationId": 7})], {"/a": Route("http://a")})
    assert json.loads(bytes(part.body))["data"][0]["operationId"] == "7"


def test_read_operations_go_to_those_who_read_with_all_their_members():
    known = {"/a": Route("http://a", read="http://r", write="http://w", producer="p", tag="t")}
    operation = {"path": "/a/b", "op": "read", "attributes": "userLabel", "scope": {"scopeTyp": "BASE_ONLY"}}
    (part,) = split([raw(operation)], known, read=True)
    assert part.key == ProducerKey("http://r", "p")
    assert json.loads(bytes(part.body))["data"] == [{**operation, "moduleSetTag": "t"}]


@pytest.mark.parametrize(
    ("operations", "field"),
    [
        ([{"path": "/a", "op": "add"}, {"op": "add"}], "data[1].path"),
        ([{"path": None, "op": "add"}], "data[0].path"),
        ([5], "data[0].path"),
        ([{"path": "/a", "op": {}}], "data[0].op"),
        ([{"path": "/a", "op": "add", "operationId": []}], "data[0].operationId"),
    ],
)
def test_an_operation_that_cannot_be_read_is_named(operations, field):
    with pytest.raises(Refused) as caught:
        split([raw(one) for one in operations], {"/a": Route("http://a")})
    assert caught.value.refusal.reason is Reason.INVALID_FIELD
    assert [violation.field for violation in caught.value.refusal.violations] == [field]


def test_routes_that_are_kept_alike_are_one_object():
    routes, text = Routes(), Route("http://a", producer="p", ready=False).body
    assert routes(text) is routes(str(text)) == Route("http://a", producer="p", ready=False)
