"""The command that explains the contract, in the words of its own comments."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Final

from google.protobuf import descriptor_pb2

from jobyard_server.cli.contract_names import Named, everything, find
from jobyard_server.cli.printing import print_rows, screen

_TYPES: Final = {
    number: name.removeprefix("TYPE_").lower() for name, number in descriptor_pb2.FieldDescriptorProto.Type.items()
}
_KINDS: Final[dict[type, str]] = {
    descriptor_pb2.DescriptorProto: "message",
    descriptor_pb2.EnumDescriptorProto: "enum",
    descriptor_pb2.EnumValueDescriptorProto: "value",
    descriptor_pb2.ServiceDescriptorProto: "service",
}


def explain(name: str) -> None:
    """Print what something is, and of what it is made; without a name, the services there are."""
    if not name:
        services = [item for item in everything() if isinstance(item.proto, descriptor_pb2.ServiceDescriptorProto)]
        print_rows(("SERVICE", "IS FOR"), [(item.name, _first(item.comment)) for item in services])
        return
    found = find(name, object)
    print(f"{_kind(found)} {found.name}   ({found.file})\n")
    for line in _wrapped(found.comment):
        print(line)
    members = [item for item in everything() if item.name.rpartition(".")[0] == found.name]
    if members:
        print()
        print_rows(("NAME", "TYPE", "IS"), [_row(item) for item in members])


def _kind(named: Named) -> str:
    match named.proto:
        case descriptor_pb2.FieldDescriptorProto():
            return f"field, {_type(named.proto)},"
        case descriptor_pb2.MethodDescriptorProto():
            return f"method, {_signature(named.proto)},"
        case _:
            return _KINDS[type(named.proto)]


def _signature(method: descriptor_pb2.MethodDescriptorProto) -> str:
    many = "stream " if method.server_streaming else ""
    return f"{_last(method.input_type)} -> {many}{_last(method.output_type)}"


def _row(named: Named) -> tuple[str, str, str]:
    match named.proto:
        case descriptor_pb2.FieldDescriptorProto():
            kind = _type(named.proto)
        case descriptor_pb2.MethodDescriptorProto():
            kind = _signature(named.proto)
        case descriptor_pb2.EnumValueDescriptorProto():
            kind = str(named.proto.number)
        case _:
            kind = ""
    return _last(named.name), kind, _first(named.comment)


def _type(field: descriptor_pb2.FieldDescriptorProto) -> str:
    name = _last(field.type_name) if field.type_name else _TYPES[field.type]
    return f"repeated {name}" if field.label == descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED else name


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _first(comment: str) -> str:
    """The first sentence of a comment."""
    words = " ".join(comment.partition("\n\n")[0].split())
    sentence, stop, _ = words.partition(". ")
    if sentence in {"Output only", "Required"}:
        more, _, _ = words[len(sentence) + 2 :].partition(". ")
        return f"{sentence}. {more.rstrip('.')}."
    return f"{sentence}." if stop else sentence


def _wrapped(comment: str) -> Iterator[str]:
    width = min(screen().width, 100)
    for paragraph in comment.split("\n\n"):
        if paragraph.startswith("    "):
            yield paragraph
        else:
            yield from textwrap.wrap(" ".join(paragraph.split()), width)
        yield ""
