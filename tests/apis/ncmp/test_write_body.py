"""A body that is read while it comes has the operations that it has as a whole, whatever pieces it comes in."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobyard_server.apis.ncmp import write_body
from jobyard_server.apis.ncmp.requests import write_job
from jobyard_server.apis.ncmp.write_body import WriteBody
from jobyard_server.domain.reason import Refused

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.sampled_from('ab{}[],:"\\é☃\U0001f600 '), max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["data", "id", "}"]), inner, max_size=3)
    ),
    max_leaves=9,
)
OPERATIONS = st.lists(
    st.fixed_dictionaries(
        {"path": st.sampled_from(["/a=1", '/b="},{']), "op": st.just("add")}, optional={"value": VALUES}
    )
    | VALUES,
    max_size=30,
)
FORMS = st.sampled_from(
    [
        {"separators": (",", ":")},
        {"separators": (", ", ": ")},
        {"indent": 1},
        {"separators": (",", ":"), "ensure_ascii": False},
    ]
)
METADATA = {"destination": "d", "dataAcceptType": "a"}


@pytest.fixture
def small(monkeypatch):
    """Look often, so that short bodies are read in pieces, too."""
    monkeypatch.setattr(write_body, "LOOK", 64)
    monkeypatch.setattr(write_body, "FAR", 128)


def read(body: bytes, size: int):
    """The metadata and the operations of a body that comes in pieces, and how many came before its end."""
    reader, found = WriteBody(), []
    for start in range(0, len(body), size):
        reader.add(body[start : start + size])
        found += map(bytes, reader.ready())
    early = len(found)
    found += map(bytes, reader.rest())
    return reader.metadata, found, early


@pytest.mark.usefixtures("small")
@settings(suppress_health_check=[], deadline=None)
@given(
    OPERATIONS,
    FORMS,
    st.integers(1, 200),
    st.booleans(),
    st.permutations(["more", "dataJobMetadata", "dataJobWriteRequest"]),
)
def test_pieces_are_as_the_whole(operations, form, size, misleading, order):
    parts = {
        "more": {"data": [1]},
        "dataJobMetadata": METADATA | ({"data": [{}]} if misleading else {}),
        "dataJobWriteRequest": {"data": operations},
    }
    body = json.dumps({name: parts[name] for name in order}, **form).encode()
    metadata, whole = write_job(body)
    assert read(body, size)[:2] == (metadata, [bytes(each) for each in whole])
    assert [json.loads(bytes(each)) for each in whole] == operations


def job(count: int, more: str = "") -> bytes:
    operations = [{"path": f"/a={number}", "op": "add", "value": {"many": [{}, {}, {}]}} for number in range(count)]
    text = json.dumps({"dataJobMetadata": METADATA, "dataJobWriteRequest": {"data": operations}}, separators=(",", ":"))
    return (text[:-1] + more + "}").encode()


def test_a_large_body_is_given_before_it_is_whole():
    body = job(60_000)
    _, found, early = read(body, 65_536)
    assert len(found) == 60_000
    assert early > 40_000


@pytest.mark.usefixtures("small")
def test_a_body_that_does_not_end_is_refused():
    with pytest.raises(Refused, match="cannot be read"):
        read(job(100)[:-3], 50)


@pytest.mark.usefixtures("small")
def test_a_wrong_operation_in_the_middle_is_refused():
    with pytest.raises(Refused, match="cannot be read"):
        read(job(100).replace(b'{"path":"/a=50"', b'{"path":NaN'), 50)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    "more",
    [
        ',"dataJobWriteRequest":{"data":[{"path":"/other"}]}',
        ',"dataJobWriteRequest":{"data":[]}',
        ',"dataJobMetadata":{"destination":"another"}',
    ],
)
def test_what_was_acted_upon_cannot_be_said_again(more):
    with pytest.raises(Refused, match="there twice"):
        read(job(100, more), 50)


@pytest.mark.usefixtures("small")
def test_an_array_of_the_same_name_elsewhere_is_not_taken_for_the_operations():
    for metadata in ('{"data":[{"a":1},{"b":2}]}', "{}"):
        text = f'{{"dataJobWriteRequest":{{"data":[{{"path":"/a"}}]}},"dataJobMetadata":{metadata},"x":"{"y" * 300}"}}'
        _, found, _ = read(text.encode(), 40)
        assert found == [b'{"path":"/a"}']
