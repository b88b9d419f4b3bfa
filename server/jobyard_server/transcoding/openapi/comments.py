"""The comments of the protos by the full names of what they describe: the only description a field has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from google.protobuf import descriptor_pb2 as d

_MESSAGE, _ENUM, _SERVICE = (
    d.FileDescriptorProto.MESSAGE_TYPE_FIELD_NUMBER,
    d.FileDescriptorProto.ENUM_TYPE_FIELD_NUMBER,
    d.FileDescriptorProto.SERVICE_FIELD_NUMBER,
)
_FIELD, _NESTED, _NESTED_ENUM = (
    d.DescriptorProto.FIELD_FIELD_NUMBER,
    d.DescriptorProto.NESTED_TYPE_FIELD_NUMBER,
    d.DescriptorProto.ENUM_TYPE_FIELD_NUMBER,
)
_VALUE = d.EnumDescriptorProto.VALUE_FIELD_NUMBER
_METHOD = d.ServiceDescriptorProto.METHOD_FIELD_NUMBER

_Path = tuple[int, ...]


class Comments:
    """Looks comments up. Python's own descriptors have lost them; a FileDescriptorSet with source info has them."""

    def __init__(self, descriptors: bytes) -> None:
        self._texts: dict[str, str] = {}
        for file in d.FileDescriptorSet.FromString(descriptors).file:
            paths = dict(_named(file))
            for location in file.source_code_info.location:
                name = paths.get(tuple(location.path))
                if name is not None and location.leading_comments:
                    self._texts[name] = _text(location.leading_comments)

    def of(self, full_name: str) -> str:
        """Give the comment of a message, field, enum, value, service or method; empty when it has none."""
        return self._texts.get(full_name, "")


def _named(file: d.FileDescriptorProto) -> Iterator[tuple[_Path, str]]:
    scope = f"{file.package}." if file.package else ""
    for number, message in enumerate(file.message_type):
        yield from _message((_MESSAGE, number), scope, message)
    yield from _enums((_ENUM,), scope, file.enum_type)
    for number, service in enumerate(file.service):
        name = scope + service.name
        yield (_SERVICE, number), name
        for index, method in enumerate(service.method):
            yield (_SERVICE, number, _METHOD, index), f"{name}.{method.name}"


def _message(path: _Path, scope: str, message: d.DescriptorProto) -> Iterator[tuple[_Path, str]]:
    name = scope + message.name
    yield path, name
    for number, field in enumerate(message.field):
        yield (*path, _FIELD, number), f"{name}.{field.name}"
    for number, nested in enumerate(message.nested_type):
        yield from _message((*path, _NESTED, number), f"{name}.", nested)
    yield from _enums((*path, _NESTED_ENUM), f"{name}.", message.enum_type)


def _enums(path: _Path, scope: str, enums: Sequence[d.EnumDescriptorProto]) -> Iterator[tuple[_Path, str]]:
    for number, enum in enumerate(enums):
        name = scope + enum.name
        yield (*path, number), name
        for index, value in enumerate(enum.value):
            # Values are siblings of their enum in protobuf's naming; here they are looked up below it.
            yield (*path, number, _VALUE, index), f"{name}.{value.name}"


def _text(comment: str) -> str:
    """Join the lines of a paragraph; keep paragraphs, lists and examples as they are."""
    lines = [line.removeprefix(" ").rstrip() for line in comment.rstrip("\n").split("\n")]
    paragraphs: list[str] = []
    for line in lines:
        kept = not line or line.startswith(("    ", "*", "-", "|", "#"))
        if kept or not paragraphs or not paragraphs[-1] or paragraphs[-1].startswith(("    ", "|")):
            paragraphs.append(line)
        else:
            paragraphs[-1] += f" {line.strip()}"
    return "\n".join(paragraphs).strip("\n")
