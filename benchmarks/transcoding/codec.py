"""JSON of a job of 27 fields, and of a page of a hundred, by the compiled codec and by protobuf's json_format.

CPU time; ratios are medians over rounds in which the two follow one another, so that drift of the machine cancels out.
Run: ``python benchmarks/transcoding/codec.py``, with ``ROUNDS`` and ``SECONDS`` in the environment to look longer.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from jobyard_server.transcoding.codec import compile_decoder, compile_encoder

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "tests")]

from _measure import median_ratio, print_table

from support.codec_messages import message

ROUNDS = int(os.environ.get("ROUNDS", "9"))
SECONDS = float(os.environ.get("SECONDS", "0.1"))
PAGE = 100
ENCODER_GOAL = 2.5
DECODER_GOAL = 4.0


def main() -> None:
    """Measure, print, and fail when a goal is missed."""
    one, page = job(7), message("Page")(jobs=[job(number) for number in range(PAGE)], next_page_token="next")  # noqa: S106 - no secret
    rows, missed = [], []
    for name, found in (("a job", one), (f"a page of {PAGE}", page)):
        for verb, goal, ours, theirs in (
            ("print", ENCODER_GOAL, *printers(found)),
            ("read", DECODER_GOAL, *readers(found)),
        ):
            pairs = [(per_call(theirs), per_call(ours)) for _ in range(ROUNDS)]
            ratio = median_ratio(pairs)
            reference, compiled = (statistics.median(column) for column in zip(*pairs, strict=True))
            rows.append((f"{verb} {name}", reference, compiled, ratio, goal))
            missed += [f"{verb} {name}"] if ratio < goal else []
    sizes = f"{one.ByteSize()} bytes of wire, {len(compile_encoder(one.DESCRIPTOR)(one))} of JSON"
    print_table(f"JSON of a job ({sizes})", ("what", "json_format us", "codec us", "times as fast", "goal"), rows)
    if missed:
        raise SystemExit(f"missed: {', '.join(missed)}")


def job(number: int) -> Message:
    """Make a job with nearly all its fields set."""
    stamp = {"seconds": 1_768_474_830 + number, "nanos": 123_000_000}
    found: Any = message("Job")(
        number=1_000_000_000_000 + number,
        uid=f"0f8fad5b-d9cb-469f-a165-{number:012}",
        name=f"tenants/acme/jobs/{number}",
        display_name="Nightly import of orders",
        description="Reads the orders of the day from the exchange and writes them where reports look for them.",
        tenant="acme",
        owner="ada@example.org",
        queue="imports",
        phase=2,
        priority=50,
        attempts=1,
        progress=0.25,
        generation=3,
        etag="W/1a2b3c",
        digest=bytes(range(32)),
        create_time=stamp,
        start_time=stamp,
        update_time={"seconds": stamp["seconds"] + 60},
        timeout={"seconds": 3600},
        labels={"team": "data", "stage": "production", "region": "eu-west", "cost-center": "4711"},
        depends_on=[f"tenants/acme/jobs/{number - 1}", f"tenants/acme/jobs/{number - 2}"],
        pieces=[
            {"name": f"piece-{at}", "ordinal": at, "bytes": 1 << 33, "phase": 2, "start_time": stamp}
            for at in range(1, 4)
        ],
        parent=f"tenants/acme/jobs/{number + 1}",
        exit_code=0,
        definition="tenants/acme/definitions/import-orders",
    )
    found.parameters.update({"file": "orders.csv", "limit": 1000, "dry": False, "columns": ["id", "sum"], "ratio": 0.5})
    return found


def printers(found: Message) -> tuple[Callable[[], object], Callable[[], object]]:
    """Give both ways of printing, having seen that they print the same."""
    encode = compile_encoder(found.DESCRIPTOR)
    if json.loads(encode(found)) != json.loads(json_format.MessageToJson(found)):
        raise SystemExit("the two print differently")
    return lambda: encode(found), lambda: json_format.MessageToJson(found, indent=None)


def readers(found: Message) -> tuple[Callable[[], object], Callable[[], object]]:
    """Give both ways of reading, having seen that they read the same."""
    make, source = type(found), compile_encoder(found.DESCRIPTOR)(found)
    decode = compile_decoder(found.DESCRIPTOR)
    again = make()
    decode(source, again)
    if again != found:
        raise SystemExit("what was printed is not what was read")
    return lambda: decode(source, make()), lambda: json_format.Parse(source, make())


def per_call(work: Callable[[], object]) -> float:
    """Measure the CPU microseconds of a call."""
    calls = 0
    began = time.thread_time()
    while (used := time.thread_time() - began) < SECONDS:
        work()
        calls += 1
    return used / calls * 1e6


if __name__ == "__main__":
    main()
