"""The vocabulary itself: every word of it is used by a trial API, and nothing about it is left unsaid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.message import Message

from jobyard.rest.v1 import annotations_pb2 as rest
from support.trial import PROTOS, ROOT, compiled

FOLDER = ROOT / "protos" / "jobyard" / "rest" / "v1"
# Their zero values mean "as if it were not said".
UNSAID = re.compile(r"_UNSPECIFIED$")


def options_of(file: FileDescriptorProto) -> Iterator[Message]:
    yield file.options
    for service in file.service:
        yield service.options
        for method in service.method:
            yield method.options
    for message in file.message_type:
        yield from options_of_message(message)
    for enum in file.enum_type:
        yield from (value.options for value in enum.value)


def options_of_message(message: DescriptorProto) -> Iterator[Message]:
    yield message.options
    yield from (field.options for field in message.field)
    for enum in message.enum_type:
        yield from (value.options for value in enum.value)
    for nested in message.nested_type:
        yield from options_of_message(nested)


def used() -> set[str]:
    """Collect the full names of the fields and enum values that the trial APIs set."""
    names = sorted(path.relative_to(PROTOS).as_posix() for path in PROTOS.glob("trial/**/*.proto"))
    found: set[str] = set()
    for file in compiled(*names).file:
        if file.package.startswith("trial."):
            for options in options_of(file):
                collect(options, found)
    return found


def collect(message: Message, found: set[str]) -> None:
    for field, value in message.ListFields():
        found.add(field.full_name)
        for item in value if field.is_repeated and field.message_type is None else (value,):
            if field.enum_type is not None:
                found.add(f"{field.enum_type.full_name}.{field.enum_type.values_by_number[item].name}")
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for item in value if field.is_repeated else (value,):
                collect(item, found)


def vocabulary() -> dict[str, FieldDescriptor | None]:
    """Collect everything that can be said."""
    words: dict[str, FieldDescriptor | None] = {}
    seen: set[str] = set()

    def message(descriptor: Descriptor) -> None:
        if descriptor.full_name in seen or not descriptor.full_name.startswith("jobyard.rest"):
            return
        seen.add(descriptor.full_name)
        if not descriptor.GetOptions().map_entry:
            for field in descriptor.fields:
                words[field.full_name] = field
                reach(field)

    def enum(descriptor: EnumDescriptor) -> None:
        if descriptor.full_name.startswith("jobyard.rest"):
            words.update(
                {
                    f"{descriptor.full_name}.{each.name}": None
                    for each in descriptor.values
                    if not UNSAID.search(each.name)
                }
            )

    def reach(field: FieldDescriptor) -> None:
        if field.message_type is not None:
            message(field.message_type)
        if field.enum_type is not None:
            enum(field.enum_type)

    for extension in rest.DESCRIPTOR.extensions_by_name.values():
        words[extension.full_name] = extension
        reach(extension)
    return words


def test_every_word_is_used_by_a_trial_api() -> None:
    assert sorted(set(vocabulary()) - used()) == []


def test_extensions_keep_to_their_range() -> None:
    numbers = [extension.number for extension in rest.DESCRIPTOR.extensions_by_name.values()]
    assert len(set(numbers)) == len(numbers)
    assert all(51_000 <= number < 51_100 for number in numbers)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.proto")), ids=lambda path: path.name)
def test_every_message_shows_an_example(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for comment, name in re.findall(r"((?:^//.*\n)+)^message (\w+)", text, re.MULTILINE):
        assert "Example" in comment, f"{name} shows no example"
