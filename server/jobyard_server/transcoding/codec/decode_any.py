"""google.protobuf.Any from JSON: the message that its `@type` names, in that message's own form."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from jobyard_server.transcoding.codec.decode_fields import Plans
from jobyard_server.transcoding.codec.decode_scalars import Read
from jobyard_server.transcoding.codec.dialect import Stray
from jobyard_server.transcoding.codec.errors import CodecError, UnknownMemberError, kind_of, too_deep
from jobyard_server.transcoding.codec.known import OWN_FORM


def any_reader(plans: Plans, pool: DescriptorPool) -> Read:
    """Read the message that an Any holds."""
    limit = plans.dialect.depth
    strict = plans.dialect.unknown_fields is Stray.REJECT

    def read(value: Any, depth: int) -> dict[str, Any]:
        if value.__class__ is not dict:
            raise CodecError(f"must be an object, not {kind_of(value)}")
        if depth >= limit:
            raise too_deep(limit)
        if not value:
            return {}
        if "@type" not in value:
            raise CodecError("is required", ".@type")
        held = named_type(value["@type"], pool)
        rest = {name: item for name, item in value.items() if name != "@type"}
        plan = plans.of(held)
        if held.full_name in OWN_FORM:
            inner = within("value", plan.read, sole(rest, strict=strict), depth + 1)
        else:
            inner = plan.read(rest, depth + 1)
        content = built(held, inner).SerializePartialToString()
        return {"type_url": value["@type"], "value": content}

    return read


def within(name: str, read: Read, value: Any, depth: int) -> Any:
    """Read a value as the member of that name."""
    try:
        return read(value, depth)
    except CodecError as problem:
        problem.within(name)
        raise


def named_type(type_url: object, pool: DescriptorPool) -> Descriptor:
    """Find the message type that a type URL names."""
    if not isinstance(type_url, str):
        raise CodecError(f"must be text that names a type, not {kind_of(type_url)}", ".@type")
    host, _, name = type_url.rpartition("/")
    if not (host and name):
        raise CodecError('must be a type as in "type.googleapis.com/name.of.Type"', ".@type")
    try:
        return pool.FindMessageTypeByName(name)
    except KeyError:
        raise CodecError("names a type that is not known here", ".@type") from None


def sole(members: dict[str, Any], *, strict: bool) -> Any:
    """Give the `value` that stands beside the type of a message with a form of its own."""
    if "value" not in members:
        raise CodecError("is required", ".value")
    if strict:
        for name in members:
            if name != "value":
                raise UnknownMemberError("is not known here", "." + name)
    return members["value"]


def built(message: Descriptor, parts: Any) -> Message:
    """Make a message of what a reader gives for it."""
    return parts if isinstance(parts, Message) else GetMessageClass(message)(**parts)
