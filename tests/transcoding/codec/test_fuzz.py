"""Documents nobody would write: whatever comes, the decoder reads it or refuses it in its own words, and soon.

`JOBYARD_FUZZ_SECONDS=600 pytest tests/transcoding/codec/test_fuzz.py` looks longer.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace

import pytest
from google.protobuf.message import Message

from jobyard_server.transcoding.codec import PROTO3, CodecError, Stray, compile_decoder, compile_encoder
from support.codec_messages import message
from support.codec_nonsense import SECONDS, nonsense
from support.costs import least_cost


def try_out(make_one: type[Message], source: bytes, dialect) -> bool:
    """Read a document; what was read can be printed, and read again."""
    found = make_one()
    try:
        compile_decoder(found.DESCRIPTOR, dialect)(source, found)
    except CodecError as refused:
        said = str(refused)
        if len(said) > 1200 or not said.isprintable():
            raise AssertionError(said) from refused
        return False
    try:
        printed = compile_encoder(found.DESCRIPTOR, dialect)(found)
    except CodecError:
        # Numbers that have no word, and masks that JSON cannot spell, come by way of Any's bytes only.
        return True
    assert printed
    return True


ENOUGH = 200


@pytest.mark.timeout(SECONDS + 60)
def test_whatever_comes():
    documents = nonsense()
    read = refused = 0
    until = time.monotonic() + SECONDS
    # Neither side stays small, or the damage is too little or too much to find anything: then this does not end.
    while time.monotonic() < until or min(read, refused) < ENOUGH:
        for _ in range(200):
            if try_out(*next(documents)):
                read += 1
            else:
                refused += 1
    assert min(read, refused) >= ENOUGH


SHAPES = {
    "unknown names": lambda size: b'{"x": 1' + b"".join(b',"y%d": 1' % at for at in range(size)) + b"}",
    "one name again and again": lambda size: b'{"name": "a"' + b',"name": "a"' * size + b"}",
    "duplicates deep inside": lambda size: (
        b'{"wellKnown": {"list": [' + b'{"a": 1, "b": 2},' * size + b'{"c":1,"c":2}]}}'
    ),
    "long text": lambda size: b'{"name": "' + b"x" * size * 8 + b'"}',
    "long text of escapes": lambda size: b'{"name": "' + b"\\u003a" * size * 2 + b'"}',
    "long name": lambda size: b'{"' + b"x" * size * 8 + b'": 1}',
    "long number": lambda size: b'{"pearCount": ' + b"9" * size * 8 + b"}",
    "long number as text": lambda size: b'{"pearCount": "' + b"9" * size * 8 + b'"}',
    "long base64": lambda size: b'{"plum": {"someBytes": "' + b"A-_A" * size + b'"}}',
    "long mask": lambda size: b'{"wellKnown": {"mask": "' + b"aB," * size + b'a"}}',
    "many branches": lambda size: b'{"branches": [' + b'{"name": "a"},' * size + b"{}]}",
    "many names": lambda size: b'{"named": {' + b"".join(b'"k%d": {},' % at for at in range(size)) + b'"k": {}}}',
    "free JSON": lambda size: b'{"wellKnown": {"list": [' + b'{"a": [1, "b"]},' * size + b"null]}}",
    "wide and deep": lambda size: b'{"left":' * 90 + b'{"branches": [' + b"{}," * size + b"{}]}" + b"}" * 90,
    "blanks": lambda size: b"{" + b" \n" * size * 4 + b"}",
}


def cost(source: bytes, dialect) -> float:
    """Measure the time of reading or refusing a document."""
    decode = compile_decoder(message("Tree").DESCRIPTOR, dialect)

    def read() -> None:
        with suppress(CodecError):
            decode(source, message("Tree")())

    return least_cost(read)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("stray", list(Stray))
def test_time_grows_with_size_and_not_its_square(shape, stray):
    dialect = replace(PROTO3, unknown_fields=stray)
    small, large = SHAPES[shape](2_000), SHAPES[shape](32_000)
    # Sixteen times the size: a square would be 256 times the time.
    assert cost(large, dialect) < 64 * cost(small, dialect) + 0.01


def test_slices_take_no_square_of_time_either():
    decode = compile_decoder(message("Free").DESCRIPTOR)

    def cost_of(size: int) -> float:
        source = b'{"list": [' + b'{"a":  1.0},' * size + b'1], "inners": [' + b'{"spec": [1.0]},' * size + b"{}]}"
        return least_cost(lambda: decode(source, message("Free")()))

    assert cost_of(32_000) < 64 * cost_of(2_000) + 0.01
