"""Fills the update mask of a PATCH from the members that the client sent, where it sent no mask itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from jobyard_server.transcoding.codec.declared import is_map, is_raw, readable, shape_of
from jobyard_server.transcoding.codec.dialect import Dialect
from jobyard_server.transcoding.fields import message_of

MASK = "google.protobuf.FieldMask"


def mask_field(request: Descriptor, body: FieldDescriptor) -> FieldDescriptor | None:
    """Find the one mask of the request that goes with its body; none when there are several."""
    if body.message_type is None or body.is_repeated:
        return None
    masks = [
        field
        for field in request.fields
        if field.message_type is not None and field.message_type.full_name == MASK and not field.is_repeated
    ]
    return masks[0] if len(masks) == 1 else None


def paths(tree: Any, message: Descriptor, dialect: Dialect, prefix: str = "") -> Iterator[str]:
    """Give the proto paths of what a JSON object sets: down to fields that are replaced as a whole."""
    if not isinstance(tree, dict):
        return
    by_name = {name: member.field for member in readable(shape_of(message, dialect)) for name in member.spellings}
    for name, value in tree.items():
        field = by_name.get(name)
        if field is None:
            continue
        path = prefix + field.name
        if isinstance(value, dict) and value and _has_parts(field):
            yield from paths(value, message_of(field), dialect, path + ".")
        else:
            yield path


def _has_parts(field: FieldDescriptor) -> bool:
    """Tell messages whose fields can be set one by one from what only has a value as a whole."""
    return (
        field.message_type is not None
        and not field.is_repeated
        and not is_map(field)
        and not is_raw(field)
        and not field.message_type.full_name.startswith("google.protobuf.")
    )
