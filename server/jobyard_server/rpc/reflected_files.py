"""The proto files that reflection shows: found by name, by symbol and by extension, comments included."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)


class ReflectedFiles:
    """An index over file descriptors, which also carry the comments that the descriptor pool drops."""

    def __init__(self, contract: FileDescriptorSet, others: Iterable[FileDescriptor]) -> None:
        """Show the files of the contract, and further files with everything they import."""
        self._files: dict[str, FileDescriptorProto] = {file.name: file for file in contract.file}
        for other in others:
            self._add(other)
        self._by_symbol: dict[str, str] = {}
        self._extensions: defaultdict[str, dict[int, str]] = defaultdict(dict)
        for name, file in self._files.items():
            for symbol in _symbols(file):
                self._by_symbol.setdefault(symbol, name)
            for extension in _extensions(file):
                self._extensions[extension.extendee.removeprefix(".")][extension.number] = name
        self._bytes = {name: file.SerializeToString() for name, file in self._files.items()}

    def by_name(self, name: str) -> Sequence[bytes]:
        """A file and everything it imports, itself first; raises KeyError."""
        return [self._bytes[each] for each in self._with_imports(name)]

    def by_symbol(self, symbol: str) -> Sequence[bytes]:
        """The file that declares a message, field, enum, value, service or method, and its imports; raises KeyError."""
        return self.by_name(self._by_symbol[symbol])

    def by_extension(self, message: str, number: int) -> Sequence[bytes]:
        """The file that declares an extension, and its imports; raises KeyError."""
        return self.by_name(self._extensions[message][number])

    def extension_numbers(self, message: str) -> Sequence[int]:
        """The numbers of a message's extensions; raises KeyError for what is no known symbol."""
        if message not in self._by_symbol:
            raise KeyError(message)
        return sorted(self._extensions.get(message, {}))

    def _add(self, file: FileDescriptor) -> None:
        if file.name in self._files:
            return
        self._files[file.name] = proto = FileDescriptorProto()
        file.CopyToProto(proto)
        for imported in file.dependencies:
            self._add(imported)

    def _with_imports(self, name: str) -> dict[str, None]:
        found: dict[str, None] = {}
        waiting = [name]
        while waiting:
            each = waiting.pop()
            if each not in found:
                found[each] = None
                waiting.extend(self._files[each].dependency)
        return found


def renamed(file: FileDescriptor, name: str, package: str) -> None:
    """Register a copy of a file under another name and package.

    gRPC's Python distribution brings only the older of the two reflection protocols, which differ in nothing else.
    """
    proto = FileDescriptorProto()
    file.CopyToProto(proto)
    proto.name = name
    proto.package = package
    for message in proto.message_type:
        for field in (field for field in message.field if field.type_name):
            field.type_name = field.type_name.replace(f".{file.package}.", f".{package}.")
    for service in proto.service:
        for method in service.method:
            method.input_type = method.input_type.replace(f".{file.package}.", f".{package}.")
            method.output_type = method.output_type.replace(f".{file.package}.", f".{package}.")
    descriptor_pool.Default().AddSerializedFile(proto.SerializeToString())


def _symbols(file: FileDescriptorProto) -> Iterator[str]:
    scope = f"{file.package}." if file.package else ""
    for message in file.message_type:
        yield from _symbols_of_message(message, scope)
    for enum in file.enum_type:
        yield from _symbols_of_enum(enum, scope)
    for extension in file.extension:
        yield scope + extension.name
    for service in file.service:
        yield scope + service.name
        yield from (f"{scope}{service.name}.{method.name}" for method in service.method)


def _symbols_of_message(message: DescriptorProto, scope: str) -> Iterator[str]:
    name = scope + message.name
    yield name
    inner = f"{name}."
    for field in (*message.field, *message.extension):
        yield inner + field.name
    for choice in message.oneof_decl:
        yield inner + choice.name
    for nested in message.nested_type:
        yield from _symbols_of_message(nested, inner)
    for enum in message.enum_type:
        yield from _symbols_of_enum(enum, inner)


def _symbols_of_enum(enum: EnumDescriptorProto, scope: str) -> Iterator[str]:
    yield scope + enum.name
    # Values live beside their enum, not inside it; clients ask for both spellings.
    for value in enum.value:
        yield scope + value.name
        yield f"{scope}{enum.name}.{value.name}"


def _extensions(file: FileDescriptorProto) -> Iterator[FieldDescriptorProto]:
    yield from file.extension
    waiting = list(file.message_type)
    while waiting:
        message = waiting.pop()
        yield from message.extension
        waiting.extend(message.nested_type)
