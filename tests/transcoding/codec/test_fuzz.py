"""Documents nobody would write: whatever comes, the decoder reads it or refuses it in its own words, and soon.

`JOBYARD_FUZZ_SECONDS=600 pytest tests/transcoding/codec/test_fuzz.py` looks longer.
"""

from __future__ import annotations

import os
import random
import time
from contextlib import suppress
from dataclasses import replace

import pytest
from google.protobuf.message import Message

from jobyard_server.transcoding.codec import (
    PROTO3,
    CodecError,
    Naming,
    Stray,
    Unset,
    compile_decoder,
    compile_encoder,
)
from support.codec_conformance import make, recorded
from support.codec_messages import message

SECONDS = float(os.environ.get("JOBYARD_FUZZ_SECONDS", "6"))
DIALECTS = [
    PROTO3,
    replace(PROTO3, naming=Naming.JSON, unknown_fields=Stray.IGNORE),
    replace(PROTO3, naming=Naming.PROTO, unset=Unset.ALWAYS, unknown_words=Stray.IGNORE),
    replace(PROTO3, depth=10, profiles=frozenset({"right-spelling"})),
]
OURS = ["Scalars", "Collections", "WellKnown", "Tree", "Free", "Reading", "Times", "BareList", "UnsetByMessage"]
SEEDS = [
    b'{"any": {"a": [1.0, {"b": null}]}, "inners": [{"name": "x", "spec": "y"}], "map": {"k": {}}}',
    b'{"owner": "o", "title": "t", "labels": {"a": null}, "sizes": [1, null], "count": "5.5", "state": "FINSHED"}',
    b'[{"name": "a", "spec": {"x": 1}}, "text", null, {"error": {"code": 5}}]',
    b'{"left": {"branches": [{"named": {"a": {"plum": {"aDouble": "NaN"}}}}]}, "@name": "n"}',
    b'{"any": {"@type": "a/codec.v1.Free", "any": {"@type": "a/google.protobuf.Any", "value": {}}}}',
]
TOKENS = [
    *(b'{ } [ ] : , " null true false NaN 0 -1 1.5 1e999 1e-999 -0 18446744073709551616'.split()),
    *(b'{} [] "" {"a":1,"a":2} "\\u003a" "\\ud800" \\ \xff \xef\xbb\xbf \x00 "@type" "value"'.split()),
    *(b'"1" "-1" "1e5" "AQ==" "_-" "1s" "-0.5s" "0001-01-01T00:00:00Z" "2026-02-29T00:00:00+14:00"'.split()),
    b"[" * 60,
    b'{"a":' * 60,
    b"9" * 400,
    b'"' + b"9" * 400 + b'"',
]


def mutate(draw: random.Random, source: bytes, others: list[bytes]) -> bytes:
    """Damage a document in one to four places."""
    for _ in range(draw.randint(1, 4)):
        start = draw.randint(0, len(source))
        end = min(len(source), start + draw.choice([0, 0, 1, 2, 8, 40]))
        match draw.randint(0, 4):
            case 0:
                middle = draw.choice(TOKENS)
            case 1:
                middle = draw.randbytes(draw.randint(1, 3))
            case 2:
                middle = source[start:end] * 2
            case 3:
                other = draw.choice(others)
                middle = other[draw.randint(0, len(other)) :][: draw.randint(1, 60)]
            case _:
                middle = b""
        source = source[:start] + middle + source[end:]
    return source


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
    draw = random.Random(os.environ.get("JOBYARD_FUZZ_SEED", "codec"))
    pool = [
        (type(make(case.message)), case.payload.encode()) for case, _ in recorded() if isinstance(case.payload, str)
    ]
    pool += [(message(name), seed) for seed in SEEDS for name in OURS]
    sources = [source for _, source in pool]
    read = refused = 0
    until = time.monotonic() + SECONDS
    # Neither side stays small, or the damage is too little or too much to find anything: then this does not end.
    while time.monotonic() < until or min(read, refused) < ENOUGH:
        for _ in range(200):
            make_one, source = draw.choice(pool)
            if try_out(make_one, mutate(draw, source, sources), draw.choice(DIALECTS)):
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
    best = float("inf")
    for _ in range(3):
        began = time.thread_time()
        with suppress(CodecError):
            decode(source, message("Tree")())
        best = min(best, time.thread_time() - began)
    return best


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("stray", list(Stray))
def test_time_grows_with_size_and_not_its_square(shape, stray):
    dialect = replace(PROTO3, unknown_fields=stray)
    small, large = SHAPES[shape](2_000), SHAPES[shape](32_000)
    # Sixteen times the size: a square would be 256 times the time.
    assert cost(large, dialect) < 64 * cost(small, dialect) + 0.01


def test_slices_take_no_square_of_time_either():
    def source(size):
        return b'{"list": [' + b'{"a":  1.0},' * size + b'1], "inners": [' + b'{"spec": [1.0]},' * size + b"{}]}"

    decode = compile_decoder(message("Free").DESCRIPTOR)
    costs = []
    for text in (source(2_000), source(32_000)):
        best = float("inf")
        for _ in range(3):
            began = time.thread_time()
            decode(text, message("Free")())
            best = min(best, time.thread_time() - began)
        costs.append(best)
    assert costs[1] < 64 * costs[0] + 0.01
