"""The reasons that enums declare: what each means over gRPC and over HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from google.protobuf.descriptor import EnumDescriptor, FileDescriptor
from google.rpc import code_pb2

from jobyard.rest.v1 import annotations_pb2 as rest
from jobyard.rest.v1 import reason_pb2
from jobyard_server.transcoding.surface import DeclarationError

STATUS_OF_CODE: Final = {
    code_pb2.OK: 200,
    code_pb2.CANCELLED: 499,
    code_pb2.UNKNOWN: 500,
    code_pb2.INVALID_ARGUMENT: 400,
    code_pb2.DEADLINE_EXCEEDED: 504,
    code_pb2.NOT_FOUND: 404,
    code_pb2.ALREADY_EXISTS: 409,
    code_pb2.PERMISSION_DENIED: 403,
    code_pb2.UNAUTHENTICATED: 401,
    code_pb2.RESOURCE_EXHAUSTED: 429,
    code_pb2.FAILED_PRECONDITION: 400,
    code_pb2.ABORTED: 409,
    code_pb2.OUT_OF_RANGE: 400,
    code_pb2.UNIMPLEMENTED: 501,
    code_pb2.INTERNAL: 500,
    code_pb2.UNAVAILABLE: 503,
    code_pb2.DATA_LOSS: 500,
}
"""The HTTP status that google/rpc/code.proto gives each code."""

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a reason stands for."""

    code: int
    status: int
    title: str


def bare_name(enum: EnumDescriptor, value: str) -> str:
    """Drop the prefix that the enum's name gives its values: `ERROR_REASON_GONE` of `ErrorReason` is `GONE`."""
    return value.removeprefix(_WORD_START.sub("_", enum.name).upper() + "_")


def meanings(enums: Iterable[EnumDescriptor]) -> dict[str, Meaning]:
    """Collect the reasons of the enums by their bare names; the same name must mean the same everywhere."""
    found: dict[str, Meaning] = {}
    origin: dict[str, str] = {}
    for enum in enums:
        for value in enum.values:
            options = value.GetOptions()
            if not options.HasExtension(rest.reason):
                continue
            reason = options.Extensions[rest.reason]
            name = bare_name(enum, value.name)
            title = reason.title or name.replace("_", " ").capitalize()
            meaning = Meaning(reason.code, reason.status or STATUS_OF_CODE.get(reason.code, 500), title)
            if found.setdefault(name, meaning) != meaning:
                both = f"one thing in {origin[name]}, another in {enum.full_name}"
                raise DeclarationError(f"the reason {name} means {both}")
            origin.setdefault(name, enum.full_name)
    return found


def enums_of(files: Iterable[FileDescriptor]) -> list[EnumDescriptor]:
    """Find the enums of the files."""
    return [enum for file in files for enum in file.enum_types_by_name.values()]


LAYER: Final = meanings([reason_pb2.LayerReason.DESCRIPTOR])
"""What the transcoder itself refuses."""
