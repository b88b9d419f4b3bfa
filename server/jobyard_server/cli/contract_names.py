"""Finds messages, services and methods of the contract by the names people use for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache

from google.protobuf import descriptor_pb2

from jobyard_server import contract
from jobyard_server.cli.errors import UsageError


@dataclass(frozen=True, slots=True)
class Named:
    """Something the contract declares."""

    name: str
    """Its full name."""
    proto: object
    """Its declaration."""
    file: str
    comment: str


@cache
def everything() -> tuple[Named, ...]:
    """All that our own protos declare, in their order."""
    files = descriptor_pb2.FileDescriptorSet.FromString(contract.descriptors())
    return tuple(found for file in files.file if file.package.startswith("jobyard.") for found in _in_file(file))


def find(name: str, *kinds: type) -> Named:
    """What a name means: a full one, or so much of its end that nothing else ends so.

    Of several things the one of the jobs API counts, then the one that is no member of another, then the one that is
    written just so.
    """
    wanted = name.replace("/", ".").strip(".")
    candidates = [item for item in everything() if isinstance(item.proto, kinds)]
    found = [item for item in candidates if f".{item.name.lower()}".endswith(f".{wanted.lower()}")]
    for better in (
        lambda item: item.name.startswith("jobyard.jobs."),
        lambda item: item.name.rpartition(".")[0] not in _holders(),
        lambda item: f".{item.name}".endswith(f".{wanted}"),
    ):
        found = [item for item in found if better(item)] or found
    if not found:
        ends = {".".join(item.name.split(".")[-2 if "." in wanted else -1 :]).lower(): item.name for item in candidates}
        near = [ends[end] for end in get_close_matches(wanted.lower(), ends, n=5)]
        raise UsageError(f"the contract has no {name!r}", *(f"perhaps: {item}" for item in near))
    if len(found) > 1:
        raise UsageError(f"{name!r} means several things", *(item.name for item in found[:20]))
    return found[0]


@cache
def _holders() -> frozenset[str]:
    """What has members."""
    return frozenset(item.name for item in everything())


def _in_file(file: descriptor_pb2.FileDescriptorProto) -> Iterator[Named]:
    comments = {tuple(place.path): place.leading_comments.strip() for place in file.source_code_info.location}

    def named(name: str, proto: object, *path: int) -> Named:
        return Named(name, proto, file.name, comments.get(path, ""))

    for index, message in enumerate(file.message_type):
        name = f"{file.package}.{message.name}"
        yield named(name, message, 4, index)
        for place, field in enumerate(message.field):
            yield named(f"{name}.{field.name}", field, 4, index, 2, place)
    for index, enum in enumerate(file.enum_type):
        name = f"{file.package}.{enum.name}"
        yield named(name, enum, 5, index)
        for place, value in enumerate(enum.value):
            yield named(f"{name}.{value.name}", value, 5, index, 2, place)
    for index, service in enumerate(file.service):
        name = f"{file.package}.{service.name}"
        yield named(name, service, 6, index)
        for place, method in enumerate(service.method):
            yield named(f"{name}.{method.name}", method, 6, index, 2, place)
