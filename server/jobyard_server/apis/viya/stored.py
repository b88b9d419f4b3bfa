"""Job definitions and job requests between their messages and the Definitions that keep them.

The spec of a Definition is the representation that clients send, without what only the server says; so an operator may
load one with the same JSON. Who changed it last and when is kept beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import protovalidate
from google.protobuf import json_format

from jobyard.viya.v1 import definition_pb2, link_pb2, request_pb2
from jobyard_server.apis.viya import names, times
from jobyard_server.apis.viya.arguments import given, kept, values
from jobyard_server.apis.viya.durations import seconds_of
from jobyard_server.apis.viya.members import SEARCHED_MOST, searched
from jobyard_server.domain.catalog import Definition, NewDefinition
from jobyard_server.domain.job import Attribute, Micros
from jobyard_server.domain.reason import Reason, invalid, refuse
from jobyard_server.usecases.call import Call

M = TypeVar("M", definition_pb2.JobDefinition, request_pb2.JobRequest)

MODIFIED_BY: Final = "modifiedBy"
MODIFIED_AT: Final = "modifiedAt"
"""Microseconds: when the change is said to have been made, where the row does not say it well enough."""
_SERVERS: Final = ("id", "creation_time_stamp", "modified_time_stamp", "created_by", "modified_by", "links", "version",
                   "stored")  # fmt: skip


def check_definition(definition: definition_pb2.JobDefinition, field: str, *, named: bool) -> None:
    """Refuse a definition that no job could be made of; ``named``: one that is to be kept needs a name."""
    prefix = f"{field}." if field else ""
    if named and not definition.name:
        raise invalid(f"{prefix}name", "must not be empty")
    if not definition.type:
        raise invalid(f"{prefix}type", "must not be empty")
    for place, parameter in enumerate(definition.parameters):
        if not parameter.name:
            raise invalid(f"{prefix}parameters[{place}].name", "must not be empty")
    _check_properties(definition.properties, prefix)


def check_request(request: request_pb2.JobRequest) -> None:
    """Refuse a job request that could not be submitted."""
    if not request.job_definition_uri and not request.HasField("job_definition"):
        problem = "Either a job definition ID or an embedded job definition is required in a job request."
        raise refuse(Reason.REQUEST_INVALID, problem)
    if request.HasField("job_definition"):
        check_definition(request.job_definition, "jobDefinition", named=False)
    if request.expires_after:
        try:
            seconds_of(request.expires_after)
        except ValueError as problem:
            raise invalid("expiresAfter", str(problem)) from None
    given(request.arguments, "arguments")
    _check_properties(request.properties, "")


def _check_properties(properties: Any, prefix: str) -> None:
    for place, each in enumerate(properties):
        if not 0 < len(each.name) <= 100:
            raise invalid(f"{prefix}properties[{place}].name", "has 1 to 100 characters")


# --- to the store ------------------------------------------------------------------------------------------------


def said(message: M) -> dict[str, Any]:
    """What a client says about a definition or request, as JSON."""
    copy = type(message)()
    copy.CopyFrom(message)
    for name in _SERVERS:
        copy.ClearField(name)  # type: ignore[arg-type] # both messages have them
    if isinstance(copy, request_pb2.JobRequest):
        texts = kept(given(copy.arguments, "arguments"))
        copy.ClearField("arguments")
        for name, value in values(texts).items():
            copy.arguments[name].CopyFrom(value)
        if copy.HasField("job_definition"):
            embedded = said(copy.job_definition)
            copy.ClearField("job_definition")
            return {**json_format.MessageToDict(copy), "jobDefinition": embedded}
    return json_format.MessageToDict(copy)


def new_definition(call: Call, id_: str, kind: str, message: M, modified_at: Micros) -> NewDefinition:
    """What is put into the store."""
    spec = {**said(message), MODIFIED_BY: call.user, MODIFIED_AT: modified_at}
    if isinstance(message, request_pb2.JobRequest):
        base, queue = names.id_in(message.job_definition_uri, "jobDefinitions/definitions"), ""
    else:
        base, queue = "", f"{names.QUEUE}{message.type}"
    return NewDefinition(
        api=names.API,
        tenant=call.tenant,
        actor=call.user,
        id=id_,
        kind=kind,
        base=base,
        display_name=message.name,
        queue=queue,
        spec=json.dumps(spec, ensure_ascii=False),
        attributes=attributes_of(spec),
    )


def attributes_of(spec: Mapping[str, Any]) -> Mapping[str, Attribute]:
    """What lists filter and sort by, where it is said; see :mod:`jobyard_server.apis.viya.stored_members`."""
    embedded = spec.get("jobDefinition") or {}
    plain = {
        "name": spec.get("name"),
        "description": spec.get("description"),
        "type": spec.get("type"),
        "uri": spec.get("jobDefinitionUri"),
        "expires_after": spec.get("expiresAfter"),
        "creator": spec.get("createdByApplication"),
        "definition_name": embedded.get("name"),
        "definition_type": embedded.get("type"),
        "modified_by": spec.get(MODIFIED_BY),
        "modified_at": spec.get(MODIFIED_AT),
        "code": (spec.get("code") or "")[:SEARCHED_MOST],
    }
    said = {name: value for name, value in plain.items() if value}
    return {**said, **searched(spec, "parameters", "properties", "arguments")}


def check_definition_spec(spec: str) -> Mapping[str, Attribute]:
    """Refuse a job definition that an operator puts and nobody could run."""
    check_definition(_parsed(definition_pb2.JobDefinition(), spec), "definition.spec", named=True)
    return attributes_of(json.loads(spec))


def check_request_spec(spec: str) -> Mapping[str, Attribute]:
    """Refuse a job request that an operator puts and nobody could submit."""
    check_request(_parsed(request_pb2.JobRequest(), spec))
    return attributes_of(json.loads(spec))


def _parsed(message: M, spec: str) -> M:
    members = {name: value for name, value in json.loads(spec).items() if name not in (MODIFIED_BY, MODIFIED_AT)}
    try:
        json_format.ParseDict(members, message)
        protovalidate.validate(message)
    except json_format.ParseError as problem:
        raise invalid("definition.spec", str(problem)) from None
    except protovalidate.ValidationError as problem:
        raise invalid("definition.spec", str(problem)) from None
    return message


# --- from the store ----------------------------------------------------------------------------------------------


def modified_at(definition: Definition) -> Micros:
    """When a definition last changed."""
    kept_at = json.loads(definition.spec).get(MODIFIED_AT)
    return kept_at if isinstance(kept_at, int) else definition.updated_at


def definition_message(definition: Definition, *, stored: bool = True) -> definition_pb2.JobDefinition:
    """A job definition as clients see it; ``stored=False`` as jobs have it."""
    return _message(definition, definition_pb2.JobDefinition(), version=2, stored=stored)


def request_message(definition: Definition, *, stored: bool = True) -> request_pb2.JobRequest:
    """A kept job request as clients see it; ``stored=False`` as jobs have it."""
    return _message(definition, request_pb2.JobRequest(), version=3, stored=stored)


def _message(definition: Definition, message: M, *, version: int, stored: bool) -> M:
    spec = json.loads(definition.spec)
    changed_by, changed_at = spec.pop(MODIFIED_BY, ""), spec.pop(MODIFIED_AT, definition.updated_at)
    json_format.ParseDict(spec, message, ignore_unknown_fields=True)
    shown(message)
    message.id = definition.id
    message.creation_time_stamp.CopyFrom(times.timestamp(definition.created_at))
    message.modified_time_stamp.CopyFrom(times.timestamp(changed_at))
    message.created_by = definition.created_by
    message.modified_by = changed_by or definition.created_by
    message.version = version
    message.stored = stored
    return message


def shown(message: definition_pb2.JobDefinition | request_pb2.JobRequest) -> None:
    """Say the versions of the parts of a representation."""
    if isinstance(message, request_pb2.JobRequest):
        message.version = 3
        if message.HasField("job_definition"):
            shown(message.job_definition)
        return
    message.version = 2
    for parameter in message.parameters:
        parameter.version = 1


def summary(
    message: definition_pb2.JobDefinition | request_pb2.JobRequest, type_: link_pb2.ResourceType.ValueType
) -> link_pb2.Summary:
    """A definition or request in short."""
    return link_pb2.Summary(
        id=message.id,
        name=message.name,
        description=message.description,
        type=type_,
        creation_time_stamp=message.creation_time_stamp,
        modified_time_stamp=message.modified_time_stamp,
        created_by=message.created_by,
        modified_by=message.modified_by,
        version=2,
    )
