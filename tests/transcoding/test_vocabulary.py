"""The vocabulary itself: every word of it is used by a trial API, and nothing about it is left unsaid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
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


class Vocabulary:
    """Everything that can be said: the full names of fields and enum values reached from the extensions."""

    def __init__(self) -> None:
        self.words: set[str] = set()
        self._seen: set[str] = set()
        for extension in rest.DESCRIPTOR.extensions_by_name.values():
            self.take(extension)

    def take(self, field: FieldDescriptor) -> None:
        self.words.add(field.full_name)
        if field.message_type is not None:
            self.reach(field.message_type)
        if field.enum_type is not None and field.enum_type.full_name.startswith("jobyard.rest"):
            said = [value.name for value in field.enum_type.values if not UNSAID.search(value.name)]
            self.words.update(f"{field.enum_type.full_name}.{name}" for name in said)

    def reach(self, message: Descriptor) -> None:
        foreign = not message.full_name.startswith("jobyard.rest") or message.GetOptions().map_entry
        if foreign or message.full_name in self._seen:
            return
        self._seen.add(message.full_name)
        for field in message.fields:
            self.take(field)


def test_every_word_is_used_by_a_trial_api() -> None:
    assert sorted(Vocabulary().words - used()) == []


def test_extensions_keep_to_their_range() -> None:
    numbers = [extension.number for extension in rest.DESCRIPTOR.extensions_by_name.values()]
    assert len(set(numbers)) == len(numbers)
    assert all(51_000 <= number < 51_100 for number in numbers)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.proto")), ids=lambda path: path.name)
def test_every_message_shows_an_example(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for comment, name in re.findall(r"((?:^//.*\n)+)^message (\w+)", text, re.MULTILINE):
        assert "Example" in comment, f"{name} shows no example"
