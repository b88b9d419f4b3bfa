"""The identity of a submit: the digests of keys, and when two requests asked for the same."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobyard_server.apis.dataone.identity import fingerprint, ipid

VECTORS = json.loads((Path(__file__).parent / "vectors" / "ipid.json").read_text())
PARTS = st.tuples(*[st.text(alphabet="ab|,\0:1", max_size=4)] * 4)


@pytest.mark.parametrize("vector", VECTORS, ids=range(len(VECTORS)))
def test_digests_are_as_published(vector):
    assert ipid(vector["user"], vector["contract"], vector["action"], vector["extIPID"]) == vector["sha256"]


@given(PARTS, PARTS)
def test_two_keys_never_share_a_digest(one, other):
    assert (ipid(*one) == ipid(*other)) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a":1,"b":[true,null]}', '{ "b" : [ true , null ], "a" : 1 }'),
        ('{"a":{"x":1,"y":2}}', '{"a":{"y":2,"x":1}}'),
        ('{"a":"\\u00e9"}', '{"a":"é"}'),
        ("{}", "{ }"),
    ],
)
def test_the_same_json_has_one_fingerprint(one, other):
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a":1}', '{"a":2}'),
        ('{"a":1}', '{"a":"1"}'),
        ('{"a":9007199254740992}', '{"a":9007199254740993}'),
        ('{"a":0.1}', '{"a":0.10000000000000000001}'),
        ('{"a":[1,2]}', '{"a":[2,1]}'),
        ('{"a":{}}', '{"a":[]}'),
        ('{"a":{"b":1}}', '{"a":[["b",1]]}'),
        ('{"a":null}', "{}"),
        ('{"a":true}', '{"a":"True"}'),
    ],
)
def test_different_json_has_another(one, other):
    assert fingerprint(one) != fingerprint(other)
