"""Extensions in JSON: members named `[full.name]` in messages that may be extended (proto2)."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from jobyard_server.transcoding.codec.decode_scalars import Read


def find_extension(message: Descriptor, name: str) -> FieldDescriptor | None:
    """Find the extension of a message that a member's name stands for."""
    if not (message.is_extendable and name.startswith("[") and name.endswith("]")):
        return None
    try:
        field = message.file.pool.FindExtensionByName(name[1:-1])
    except KeyError:
        return None
    return field if field.containing_type is message else None


def with_extensions(message: Descriptor, read: Read) -> Read:
    """Read a message whose constructor does not take what stands under a descriptor."""
    make = GetMessageClass(message)

    def extended(value: Any, depth: int) -> Message:
        parts = read(value, depth)
        found = make(**{name: part for name, part in parts.items() if isinstance(name, str)})
        for field, part in parts.items():
            if isinstance(field, FieldDescriptor):
                extend(found, field, part)
        return found

    return extended


def extend(message: Message, field: FieldDescriptor, part: Any) -> None:
    """Set one extension."""
    held: Any = message.Extensions
    if field.is_repeated:
        for item in part:
            if isinstance(item, dict):
                held[field].add(**item)
            elif isinstance(item, Message):
                held[field].add().MergeFrom(item)
            else:
                held[field].append(item)
    elif field.message_type is None:
        held[field] = part
    else:
        held[field].SetInParent()
        held[field].MergeFrom(part if isinstance(part, Message) else GetMessageClass(field.message_type)(**part))
