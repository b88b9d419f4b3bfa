"""Ways to the fields of a message that options name: `order.state`, resolved once, read fast."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from jobyard_server.transcoding.codec.declared import is_map
from jobyard_server.transcoding.surface import DeclarationError

Way = tuple[FieldDescriptor, ...]
Reader = Callable[[Message], Any]


def way(message: Descriptor, path: str | tuple[str, ...], *, where: str) -> Way:
    """Resolve a path by proto names; raises DeclarationError, which says `where` the path stands."""
    names = path.split(".") if isinstance(path, str) else path
    found: list[FieldDescriptor] = []
    at: Descriptor | None = message
    for name in names:
        if at is None or (found and (found[-1].is_repeated or is_map(found[-1]))):
            raise DeclarationError(f"{where}: {'.'.join(names)} goes through {found[-1].name}, which has no fields")
        field = at.fields_by_name.get(name)
        if field is None:
            raise DeclarationError(f"{where}: {at.full_name} has no field {name!r}")
        found.append(field)
        at = field.message_type
    return tuple(found)


def reader(steps: Way) -> Reader:
    """Compile what reads the field; an unset message on the way reads as its empty self."""
    return attrgetter(".".join(step.name for step in steps))


def message_of(field: FieldDescriptor) -> Descriptor:
    """Give the message of a field that is known to hold one."""
    assert field.message_type is not None
    return field.message_type


def enum_of(field: FieldDescriptor) -> EnumDescriptor:
    """Give the enum of a field that is known to hold one."""
    assert field.enum_type is not None
    return field.enum_type


def enum_number(enum: EnumDescriptor, name: str, *, where: str) -> int:
    """Find a value by its name, with or without the prefix of its enum."""
    for value in enum.values:
        if value.name == name or value.name.endswith(f"_{name}"):
            return int(value.number)
    raise DeclarationError(f"{where}: {enum.full_name} has no value {name}")


def presence(steps: Way) -> Callable[[Message], bool]:
    """Compile what tells whether the field says anything: it is set, and neither false, zero nor empty."""
    owner = attrgetter(".".join(step.name for step in steps[:-1])) if len(steps) > 1 else None
    last = steps[-1]
    name = last.name
    if last.is_repeated or last.message_type is None:
        read = reader(steps)
        return lambda message: bool(read(message))
    if owner is None:
        return lambda message: message.HasField(name)
    return lambda message: bool(owner(message).HasField(name))


def is_set(steps: Way) -> Callable[[Message], bool]:
    """Compile what tells whether the field was set, to whatever value; without presence the same as `presence`."""
    last = steps[-1]
    if last.is_repeated or not last.has_presence:
        return presence(steps)
    name = last.name
    owner = attrgetter(".".join(step.name for step in steps[:-1])) if len(steps) > 1 else None
    if owner is None:
        return lambda message: message.HasField(name)
    return lambda message: bool(owner(message).HasField(name))


def owner_of(steps: Way) -> Reader:
    """Compile what leads to the message that holds the field, ready to be written to."""
    if len(steps) == 1:
        return lambda message: message
    return attrgetter(".".join(step.name for step in steps[:-1]))
