"""From a job request to the job that is stored: definition, provider, arguments, applications, expiration."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import json_format

from jobyard.viya.v1 import definition_pb2, request_pb2
from jobyard_server.apis.viya import names, stored
from jobyard_server.apis.viya.arguments import given, merged, values
from jobyard_server.apis.viya.durations import seconds_of
from jobyard_server.apis.viya.members import searched
from jobyard_server.apis.viya.providers import Provider, provider_of
from jobyard_server.domain.catalog import Definition
from jobyard_server.domain.job import Attribute, LeaseLoss
from jobyard_server.domain.reason import Reason, Violation, refuse
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.drafts import JobDraft
from jobyard_server.usecases.ports import Reader

STDIN_LABEL: Final = "jobyard.stdin"
"""Tells workers which member of the payload the program reads."""


@dataclass(frozen=True, slots=True)
class Submit:
    """What a submit says beside the request."""

    submitter: str
    delegate_domain: str
    annotation_uri: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A job about to be submitted."""

    draft: JobDraft
    heartbeat_interval: int


async def plan(read: Reader, call: Call, request: request_pb2.JobRequest, submit: Submit) -> Plan:
    """What is to be stored; ``Refused`` when the request cannot be run. ``request`` may be a kept one."""
    stored.check_request(request)
    definition, kept = await _definition(read, call, request)
    provider = await provider_of(read, call, definition.type)
    copy = _copy(request, definition, provider)
    id_ = str(uuid.uuid4())
    submitter = submit.submitter or request.created_by_application or names.APPLICATION
    draft = JobDraft(
        definition=kept.id if kept is not None else "",
        resolved=kept,
        external_id=id_,
        queue=provider.queue,
        payload=_payload(id_, call, copy, submit),
        spec=_spec(copy, submit),
        attributes=_attributes(call, copy, provider, submitter),
        labels={STDIN_LABEL: "code"},
        display_name=copy.name,
        # Who is not heard of has timed out; without heartbeats the job is simply run again.
        on_lease_loss=LeaseLoss.TIME_OUT if provider.heartbeat_interval else LeaseLoss.REQUEUE,
        resumable=False,
        expires_after=seconds_of(copy.expires_after) if copy.expires_after else None,
    )
    return Plan(draft, provider.heartbeat_interval)


async def _definition(
    read: Reader, call: Call, request: request_pb2.JobRequest
) -> tuple[definition_pb2.JobDefinition, Definition | None]:
    """The definition that is run: the one in the request, else the one that it names."""
    if request.HasField("job_definition"):
        embedded = definition_pb2.JobDefinition()
        json_format.ParseDict(stored.said(request.job_definition), embedded)
        return embedded, None
    uri = request.job_definition_uri
    id_ = names.id_in(uri, "jobDefinitions/definitions")
    found = await read.definition(names.API, call.tenant, id_) if id_ else None
    if found is None or found.kind != names.DEFINITION or not found.enabled:
        raise refuse(
            Reason.DEFINITION_REFERENCE_UNKNOWN,
            f"There is no job definition {uri!r}.",
            Violation("jobDefinitionUri", "names no job definition"),
            definition=uri,
        )
    return stored.definition_message(found, stored=False), found


def _copy(
    request: request_pb2.JobRequest, definition: definition_pb2.JobDefinition, provider: Provider
) -> request_pb2.JobRequest:
    """The request as the job keeps it: complete, whatever becomes of where it came from."""
    copy = request_pb2.JobRequest()
    json_format.ParseDict(stored.said(request), copy)
    if request.stored:
        for name in ("id", "created_by", "modified_by"):
            setattr(copy, name, getattr(request, name))
        copy.creation_time_stamp.CopyFrom(request.creation_time_stamp)
        copy.modified_time_stamp.CopyFrom(request.modified_time_stamp)
    copy.job_definition.CopyFrom(definition)
    copy.name = request.name or definition.name
    copy.expires_after = request.expires_after or provider.expires_after
    copy.created_by_application = request.created_by_application or names.APPLICATION
    texts = merged(given(request.arguments, "arguments"), definition.parameters)
    copy.ClearField("arguments")
    for name, value in values(texts).items():
        copy.arguments[name].CopyFrom(value)
    return copy


def _spec(copy: request_pb2.JobRequest, submit: Submit) -> str:
    spec: dict[str, Any] = {"request": json_format.MessageToDict(copy)}
    if submit.annotation_uri:
        spec["annotation_uri"] = submit.annotation_uri
    if submit.delegate_domain:
        spec["delegate_domain"] = submit.delegate_domain
    return json.dumps(spec, ensure_ascii=False)


def _attributes(
    call: Call, copy: request_pb2.JobRequest, provider: Provider, submitter: str
) -> Mapping[str, Attribute]:
    return {
        "request_id": copy.id or None,
        "definition_uri": copy.job_definition_uri or None,
        "definition_name": copy.job_definition.name or None,
        "definition_type": copy.job_definition.type,
        "expires_after": copy.expires_after or None,
        "creator": copy.created_by_application,
        "submitter": submitter,
        "heartbeat_interval": provider.heartbeat_interval,
        "modified_by": call.user,
        "description": copy.description or None,
        **searched(json_format.MessageToDict(copy), "arguments", "properties"),
    }


def _payload(id_: str, call: Call, copy: request_pb2.JobRequest, submit: Submit) -> str:
    """What the worker gets; its members are told in the README beside this."""
    payload = {
        "job": id_,
        "name": copy.name,
        "type": copy.job_definition.type,
        "code": copy.job_definition.code,
        "arguments": {name: value.string_value for name, value in copy.arguments.items()},
        "createdBy": call.user,
        "delegateDomain": submit.delegate_domain,
    }
    return json.dumps(payload, ensure_ascii=False)
