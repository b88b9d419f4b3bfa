"""Documents nobody would write: those of the conformance suite and of ours, damaged."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import replace

from google.protobuf.message import Message

from jobyard_server.transcoding.codec import PROTO3, Dialect, Naming, Stray, Unset
from support.codec_conformance import make, recorded
from support.codec_messages import message

SECONDS = float(os.environ.get("JOBYARD_FUZZ_SECONDS", "13"))
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


def nonsense() -> Iterator[tuple[type[Message], bytes, Dialect]]:
    """Give document after document, each with the message and the dialect that it is to be read as."""
    draw = random.Random(os.environ.get("JOBYARD_FUZZ_SEED", "codec"))
    pool = [
        (type(make(case.message)), case.payload.encode()) for case, _ in recorded() if isinstance(case.payload, str)
    ]
    pool += [(message(name), seed) for seed in SEEDS for name in OURS]
    sources = [source for _, source in pool]
    while True:
        make_one, source = draw.choice(pool)
        yield make_one, mutate(draw, source, sources), draw.choice(DIALECTS)
