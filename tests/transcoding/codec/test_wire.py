"""The codec's short way: whatever takes it comes out as it would have the long way, and what is usual does take it."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache

import orjson
import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import EncodeError, Message
from hypothesis import given, settings
from hypothesis import strategies as st

from jobyard_server.transcoding.codec import PROTO3, CodecError, Dialect, Naming, Stray, compile_encoder
from jobyard_server.transcoding.codec.decoder import Decoder, plans_of, writers_of
from jobyard_server.transcoding.codec.encode_messages import Encoder, printers_of
from jobyard_server.transcoding.codec.encode_messages import plans_of as encode_plans_of
from jobyard_server.transcoding.codec.raw import Slicer
from jobyard_server.transcoding.codec.source import load
from support.codec_drawing import ANY_MESSAGE
from support.codec_messages import message
from support.codec_nonsense import DIALECTS, SECONDS, nonsense

ENOUGH = 200


@cache
def slicer(message_type: Descriptor, dialect: Dialect) -> Slicer:
    return Slicer(message_type, dialect)


@cache
def long_decoder(message_type: Descriptor, dialect: Dialect) -> Decoder:
    plan = plans_of(dialect).of(message_type)
    return Decoder(lambda: plan.read, lambda: None, slicer(message_type, dialect), message_type)


@cache
def long_encoder(message_type: Descriptor, dialect: Dialect) -> Encoder:
    return Encoder(lambda: encode_plans_of(dialect).of(message_type).show, lambda: None)


def read_shortly(make: type[Message], source: bytes, dialect: Dialect) -> Message | None:
    """Read a document the short way; None where it is left to the other."""
    writer = writers_of(dialect).of(make.DESCRIPTOR)
    try:
        tree = load(source)
    except CodecError:
        return None
    if writer is None or not slicer(make.DESCRIPTOR, dialect).graft(source, tree):
        return None
    wire = writer.wire(tree, 0)
    return None if wire is None else make.FromString(wire)


def read_at_length(make: type[Message], source: bytes, dialect: Dialect) -> Message:
    found = make()
    long_decoder(make.DESCRIPTOR, dialect)(source, found)
    return found


def print_shortly(found: Message, dialect: Dialect) -> bytes | None:
    """Print a message the short way; None where it is left to the other."""
    printer = printers_of(dialect).of(found.DESCRIPTOR)
    try:
        tree = None if printer is None else printer.tree(found.SerializePartialToString())
    except EncodeError:
        return None
    return None if tree is None else orjson.dumps(tree)


def print_at_length(found: Message, dialect: Dialect) -> bytes:
    return long_encoder(found.DESCRIPTOR, dialect)(found)


@pytest.mark.timeout(SECONDS + 60)
def test_both_ways_read_and_print_the_same():
    read = printed = 0
    documents = nonsense()
    until = time.monotonic() + SECONDS
    while time.monotonic() < until or min(read, printed) < ENOUGH:
        make, source, dialect = next(documents)
        short = read_shortly(make, source, dialect)
        if short is None:
            continue
        read += 1
        found = read_at_length(make, source, dialect)
        assert short.SerializeToString(deterministic=True) == found.SerializeToString(deterministic=True), source
        document = print_shortly(found, dialect)
        if document is not None:
            printed += 1
            assert orjson.loads(document) == orjson.loads(print_at_length(found, dialect)), source


@given(ANY_MESSAGE, st.sampled_from(DIALECTS))
@settings(deadline=None, max_examples=300)
def test_both_ways_print_any_message_alike(found, dialect):
    document = print_shortly(found, dialect)
    if document is not None:
        # The entries of a map have no order.
        assert orjson.loads(document) == orjson.loads(print_at_length(found, dialect))


def make_job(**fields) -> Message:
    return message("Job")(**fields)


USUAL = {
    "text": b'{"name": "n", "displayName": "\xc3\xa9\\u20ac"}',
    "whole numbers, as text too": b'{"number": "1000000000000", "priority": -5, "generation": 3}',
    "a fraction": b'{"progress": 0.25}',
    "a number without one": b'{"progress": 1}',
    "bytes": b'{"digest": "AAEC"}',
    "the word of an enum": b'{"phase": "PHASE_RUNNING"}',
    "times and spans": b'{"createTime": "2026-01-15T11:00:30.5+01:00", "timeout": "-1.5s"}',
    "lists, maps and messages": b'{"dependsOn": ["a"], "labels": {"a": "b"}, "pieces": [{"bytes": "1"}, {}]}',
    "free JSON": b'{"parameters": {"a": [1, null, {"b": 0.5}]}}',
    "null, which is absent": b'{"name": null, "pieces": null}',
    "nothing": b"{}",
}


@pytest.mark.parametrize("source", USUAL.values(), ids=USUAL)
def test_what_is_usual_takes_the_short_way(source):
    found = read_shortly(message("Job"), source, PROTO3)
    assert found == read_at_length(message("Job"), source, PROTO3)
    assert print_shortly(found, PROTO3) == print_at_length(found, PROTO3)


UNUSUAL = {
    "another spelling": b'{"display_name": "d"}',
    "unknown": b'{"colour": "red"}',
    "of another kind": b'{"name": 1}',
    "true for a number": b'{"priority": true}',
    "too large": b'{"priority": 2147483648}',
    "of more than 64 bits": b'{"number": 18446744073709551616}',
    "a word that is none": b'{"phase": "RUNNING"}',
    "half a character": b'{"name": "\\ud800"}',
    "not base64": b'{"digest": "?"}',
    "no time": b'{"createTime": "yesterday"}',
    "null in a list": b'{"dependsOn": [null]}',
    "a list": b"[]",
    "too deep": b'{"parameters": ' + b'{"a":' * 60 + b"1" + b"}" * 61,
}


@pytest.mark.parametrize("source", UNUSUAL.values(), ids=UNUSUAL)
def test_what_is_not_is_left_to_the_long_way(source):
    assert read_shortly(message("Job"), source, PROTO3) is None


def test_members_that_nobody_knows_are_passed_over_where_the_dialect_says_so():
    lenient = replace(PROTO3, naming=Naming.JSON, unknown_fields=Stray.IGNORE)
    assert read_shortly(message("Job"), b'{"name": "n", "colour": "red"}', lenient) == make_job(name="n")


def test_a_choice_of_two_is_left_to_the_long_way():
    one, two = (field.json_name for field in message("Reading").DESCRIPTOR.oneofs[0].fields[:2])
    both = orjson.dumps({one: "1", two: "1"})
    assert read_shortly(message("Reading"), both, PROTO3) is None


def test_fields_of_newer_senders_are_passed_over():
    newer = make_job(name="n").SerializeToString() + bytes.fromhex("f8ff0301 faff03026869 f9ff030000000000000000")
    found = message("Job").FromString(newer)
    assert print_shortly(found, PROTO3) == b'{"name":"n"}'


def test_a_known_number_of_another_kind_is_left_to_the_long_way():
    # Three is the number of the name, and here a varint.
    odd = message("Job").FromString(b"\x18\x01")
    assert compile_encoder(odd.DESCRIPTOR)(odd) == print_at_length(odd, PROTO3) == b"{}"
