"""Google's conformance suite for protobuf's JSON: what it asks, what the codec answers, and a record of both."""

from __future__ import annotations

import gzip
import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from jobyard_server.transcoding.codec import PROTO3, CodecError, Stray, compile_decoder, compile_encoder

FOLDER = Path(__file__).parents[1] / "transcoding" / "codec" / "conformance"
REQUESTS = FOLDER / "requests.jsonl.gz"
MESSAGES = FOLDER / "messages.binpb.gz"
# Of proto3 JSON's optional behaviours the suite tests one: a reader that ignores what it does not know.
LENIENT = replace(PROTO3, unknown_fields=Stray.IGNORE, unknown_words=Stray.IGNORE)


@dataclass(frozen=True)
class Case:
    """One request of the suite: a payload to be read, and the form in which it is wanted back."""

    name: str
    message: str
    payload: str | bytes
    """JSON, or the bytes of a message."""
    wants_json: bool
    lenient: bool

    @property
    def line(self) -> dict[str, Any]:
        """The case as it is recorded."""
        line: dict[str, Any] = {"name": self.name, "message": self.message}
        if isinstance(self.payload, str):
            line["json"] = self.payload
        else:
            line["wire"] = b64encode(self.payload).decode()
        return line | {name: True for name in ("wants_json", "lenient") if getattr(self, name)}


@dataclass(frozen=True)
class Outcome:
    """What came of a case: JSON, the bytes of a message, or a refusal to read or to print."""

    json: str | None = None
    wire: bytes | None = None
    refused: str = ""

    @property
    def line(self) -> dict[str, str]:
        """The outcome as it is recorded."""
        if self.refused:
            return {"refused": self.refused}
        if self.json is not None:
            return {"json": self.json}
        assert self.wire is not None
        return {"wire": b64encode(self.wire).decode()}


@cache
def pool() -> DescriptorPool:
    """Give the messages of the suite, apart from those of the program."""
    found = DescriptorPool()
    for file in FileDescriptorSet.FromString(gzip.decompress(MESSAGES.read_bytes())).file:
        found.Add(file)
    return found


def run(case: Case) -> Outcome:
    """Do what a case asks for."""
    message = make(case.message)
    descriptor = message.DESCRIPTOR
    try:
        if isinstance(case.payload, bytes):
            message.ParseFromString(case.payload)
        else:
            compile_decoder(descriptor, LENIENT if case.lenient else PROTO3)(case.payload.encode(), message)
    except (CodecError, DecodeError):
        return Outcome(refused="read")
    if not case.wants_json:
        return Outcome(wire=message.SerializeToString(deterministic=True))
    try:
        return Outcome(json=compile_encoder(descriptor)(message).decode())
    except CodecError:
        return Outcome(refused="print")


def make(name: str) -> Message:
    """Make an empty message."""
    return GetMessageClass(pool().FindMessageTypeByName(name))()


def recorded() -> Iterator[tuple[Case, Outcome]]:
    """Give the cases of the record, each with the outcome that the suite approved of."""
    with gzip.open(REQUESTS, "rt", encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            payload = line["json"] if "json" in line else b64decode(line["wire"])
            case = Case(line["name"], line["message"], payload, "wants_json" in line, "lenient" in line)
            approved = line["approved"]
            wire = b64decode(approved["wire"]) if "wire" in approved else None
            yield case, Outcome(approved.get("json"), wire, approved.get("refused", ""))


def write_record(cases: list[tuple[Case, Outcome]]) -> None:
    """Write a record, the same bytes for the same cases."""
    lines = [json.dumps(case.line | {"approved": outcome.line}, separators=(",", ":")) for case, outcome in cases]
    REQUESTS.write_bytes(gzip.compress("\n".join(lines).encode(), mtime=0))
