"""The parameters of an operation: where each field of its request is bound from but the body."""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from jobyard.rest.v1 import annotations_pb2 as rest
from jobyard_server.transcoding.codec import known
from jobyard_server.transcoding.codec.declared import is_map, is_raw, map_fields, standalone
from jobyard_server.transcoding.codec.dialect import Dialect
from jobyard_server.transcoding.fields import way
from jobyard_server.transcoding.media import JSON
from jobyard_server.transcoding.openapi.constraints import Schema, is_required
from jobyard_server.transcoding.openapi.schemas import Schemas
from jobyard_server.transcoding.query import QueryTable, label
from jobyard_server.transcoding.template import Template

_DEEPEST: Final = 3
"""Levels of nested messages whose parameters are listed; deeper ones are bound all the same."""
_JSON_TYPES: Final = frozenset({known.STRUCT, known.LIST, known.VALUE})
"""Messages whose text in a query is JSON."""


def path_of(template: Template) -> tuple[str, list[tuple[str, tuple[str, ...]]]]:
    """Write a template as OpenAPI does, and name the parameters in it with the fields they fill.

    OpenAPI has no variables of several segments: `/v1/{name=shelves/*}` becomes `/v1/shelves/{name}`.
    """
    names: list[tuple[str, tuple[str, ...]]] = []
    pieces: list[str] = []
    for index, segment in enumerate(template.segments):
        if not segment.wildcard:
            pieces.append(segment.text)
            continue
        owner = next((v for v in template.variables if v.start <= index and _within(v.end, index, template)), None)
        field = owner.field if owner else ()
        # No dots: the names of path parameters are not on the wire, and tools that fill templates in trip over them.
        name = "_".join(field) or f"part{index}"
        if any(name == taken for taken, _ in names):
            name = f"{name}_{index}"
        names.append((name, field))
        pieces.append(f"{{{name}}}")
    verb = f":{template.verb}" if template.verb else ""
    return "/" + "/".join(pieces) + verb, names


def _within(end: int, index: int, template: Template) -> bool:
    return index < (end if end > 0 else len(template.segments) + end)


def path_parameters(names: list[tuple[str, tuple[str, ...]]], request: Descriptor, schemas: Schemas) -> list[Schema]:
    """List the parameters in a path."""
    found = []
    for name, field_path in names:
        parameter: dict[str, Any] = {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        if field_path:
            field = way(request, ".".join(field_path), where=request.full_name)[-1]
            schema = schemas.of_field(field)
            if schema.get("type") == "string":
                schema["minLength"] = max(1, schema.get("minLength", 0))
            parameter |= {"schema": schema, **schemas.describe(field.full_name)}
        found.append(parameter)
    return found


def query_parameters(table: QueryTable, dialect: Dialect, schemas: Schemas) -> list[Schema]:
    """List the parameters of the query, those of nested messages by their paths: all that the table would find."""
    found: list[Schema] = []

    def add(field: FieldDescriptor, name: str) -> None:
        message = field.message_type
        if table.find(name + _key(field)) is not None:
            required = field.GetOptions().Extensions[rest.query].required or is_required(field)
            written = _written(field, schemas.of_field(field, standalone(field, dialect)))
            parameter = {"name": name, "in": "query", "required": required, **written}
            found.append({**parameter, **schemas.describe(field.full_name)})
        elif message is not None and not field.is_repeated and name.count(".") < _DEEPEST:
            for inner in message.fields:
                add(inner, f"{name}.{label(inner, dialect)}")

    for field in table.fields:
        add(field, label(field, dialect))
    return found


def _key(field: FieldDescriptor) -> str:
    """Give what stands behind the name of a map when one of its entries is set, or nothing."""
    if not is_map(field):
        return ""
    key, _ = map_fields(field)
    return "[true]" if key.type == FieldDescriptor.TYPE_BOOL else "[1]"


def _written(field: FieldDescriptor, schema: Schema) -> Schema:
    """Say how a value is written: `a=1&a=2` and plain text need no word, objects do."""
    if is_map(field):
        return {"style": "deepObject", "explode": True, "schema": schema}
    message = field.message_type
    if not is_raw(field) and (message is None or message.full_name not in _JSON_TYPES):
        return {"schema": schema}
    if field.is_repeated:
        return {"schema": {**schema, "items": {"type": "string", "contentMediaType": JSON}}}
    return {"content": {JSON: {"schema": schema}}}


def header_parameters(request: Descriptor, schemas: Schemas) -> list[Schema]:
    """List the parameters that are bound from headers."""
    found = []
    for field in request.fields:
        declared = field.GetOptions().Extensions[rest.header]
        if declared.name:
            schema = {"type": "string"}
            parameter = {"name": declared.name, "in": "header", "required": declared.required, "schema": schema}
            found.append({**parameter, **schemas.describe(field.full_name)})
    return found
