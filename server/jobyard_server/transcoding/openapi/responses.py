"""The answers of an operation: the successes it declares, and the errors of its face."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from google.protobuf.descriptor import Descriptor
from google.rpc import code_pb2

from jobyard.rest.v1 import answer_pb2, error_pb2
from jobyard_server.transcoding.answers import answers_of
from jobyard_server.transcoding.body_forms import HTTP_BODY
from jobyard_server.transcoding.errors import formats_of, kind_of
from jobyard_server.transcoding.fields import way
from jobyard_server.transcoding.media import EVENT_STREAM, JSON, NDJSON, TEXT, bare, is_json
from jobyard_server.transcoding.openapi.constraints import Schema
from jobyard_server.transcoding.openapi.schemas import Schemas
from jobyard_server.transcoding.operation import FacePlan, Operation
from jobyard_server.transcoding.phrases import phrase
from jobyard_server.transcoding.reasons import LAYER, STATUS_OF_CODE

_STREAMS = frozenset({EVENT_STREAM, NDJSON})
_ANY_METHOD = (code_pb2.UNAUTHENTICATED, code_pb2.PERMISSION_DENIED, code_pb2.INTERNAL, code_pb2.DEADLINE_EXCEEDED)
"""What any method may fail with, reasons or none: callers turned away, bugs, and deadlines."""

Reasons = dict[int, list[tuple[str, str]]]
"""Reasons and their titles by status."""


def successes(operation: Operation, schemas: Schemas, profiles: frozenset[str]) -> dict[str, Schema]:
    """List what an operation answers when all is well."""
    found: dict[str, Schema] = {}
    for answer in answers_of(operation.spec, operation.route, profiles):
        status = answer.status or 200
        response = found.setdefault(str(status), {"description": answer.description or phrase(status)})
        if answer.description and answer.description not in response["description"]:
            response["description"] += f" {answer.description}"
        headers = _headers(answer)
        if headers:
            response.setdefault("headers", {}).update(headers)
        if not answer.empty and status not in {204, 205}:
            _add(response.setdefault("content", {}), _content(operation, answer, schemas))
        if operation.safe and (answer.HasField("etag") or answer.last_modified):
            found.setdefault("304", {"description": "What the client has is still current."})
    return found


def _add(content: Schema, more: Schema) -> None:
    """Add what another answer of the same status may hold."""
    for name, media in more.items():
        known = content.get(name) or media
        same = known == media
        content[name] = media if same else {"schema": {"anyOf": [*_alternatives(known), *_alternatives(media)]}}


def _alternatives(media: Schema) -> list[Schema]:
    schema = media.get("schema", {})
    alternatives: list[Schema] = schema.get("anyOf", [schema])
    return alternatives


def _headers(answer: answer_pb2.Answer) -> Schema:
    names = [header.name for header in answer.headers]
    names += ["Location"] if answer.location else []
    names += ["ETag"] if answer.HasField("etag") else []
    names += ["Last-Modified"] if answer.last_modified else []
    return {name: {"schema": {"type": "string"}} for name in names}


def _content(operation: Operation, answer: answer_pb2.Answer, schemas: Schemas) -> Schema:
    streamed = operation.spec.stream.body or operation.route.response_body
    schema = _body(operation, streamed if operation.streams_out else answer.body, schemas)
    if schema is None:
        return {"*/*": {}}
    offered = [answer.media_type] if answer.media_type else [offer.media_type for offer in operation.offers]
    content: Schema = {}
    for media_type in offered:
        name = bare(media_type)
        if name in _STREAMS:
            content[name] = {"schema": {"type": "string"}}
        elif operation.streams_out:
            content[name] = {"schema": {"type": "array", "items": schema}}
        elif is_json(name):
            content[name] = {"schema": schema}
        else:
            content[name] = {"schema": {"type": "string"}}
    return content


def _body(operation: Operation, path: str, schemas: Schemas) -> Schema | None:
    """Give the schema of the body; None for bytes of any type."""
    message: Descriptor | None = operation.spec.response
    if path:
        field = way(operation.spec.response, path, where=operation.spec.name)[-1]
        message = None if field.is_repeated else field.message_type
        if message is None:
            return schemas.of_field(field)
    assert message is not None
    return None if message.full_name == HTTP_BODY else schemas.of_message(message)


class Errors:
    """The errors of one face, a response for each status."""

    def __init__(self, plan: FacePlan) -> None:
        self._plan = plan
        self._reasons = _reasons(plan, ())
        self._formats = formats_of(plan.face, error_pb2.MethodErrors(), texts=False)

    def of(self, operation: Operation, schemas: Schemas) -> Schema:
        """Print how an operation fails: as its face says, or in its own way where it has one."""
        declared = operation.spec.errors
        formats = formats_of(self._plan.face, declared, texts=operation.texts)
        if len(formats) == len(self._formats) and not any(row.status for row in declared.rows):
            return {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(self._reasons)}
        bodies = self._bodies(formats, schemas)
        return _without_bodies(_responses(_reasons(self._plan, declared.rows), bodies), formats)

    def schema(self, schemas: Schemas) -> Schema:
        """Give the schema of an error body."""
        bodies = [schema for _, schema in self._bodies(self._formats, schemas) if schema]
        unique = list({repr(schema): schema for schema in bodies}.values())
        return unique[0] if len(unique) == 1 else {"anyOf": unique} if unique else {}

    def responses(self, schemas: Schemas) -> Schema:
        """Print the responses that the operations of the face refer to."""
        return _without_bodies(_responses(self._reasons, self._bodies(self._formats, schemas)), self._formats)

    def _bodies(self, formats: Iterable[error_pb2.ErrorFormat], schemas: Schemas) -> list[tuple[str, Schema]]:
        return [self._body(each, schemas) for each in formats]

    def _body(self, declared: error_pb2.ErrorFormat, schemas: Schemas) -> tuple[str, Schema]:
        if declared.empty:
            return "", {}
        if declared.text:
            return bare(declared.media_type or TEXT), {"type": "string"}
        kind: Any = kind_of(declared.message, self._plan.face, self._plan.pool)
        return bare(declared.media_type or JSON), schemas.of_message(kind.DESCRIPTOR)


def _reasons(plan: FacePlan, own: Iterable[error_pb2.ErrorRow]) -> Reasons:
    """List the reasons, and their titles, of each status that rows of a method's own and of its face give them."""
    rows = [row for row in (*own, *plan.face.rows) if row.status]
    by_reason = {row.reason: row.status for row in reversed(rows) if row.reason}
    by_code = {row.code: row.status for row in reversed(rows) if not row.reason}
    found: Reasons = {by_code.get(code, STATUS_OF_CODE[code]): [] for code in _ANY_METHOD}
    for reason, meaning in {**LAYER, **plan.meanings}.items():
        status = by_reason.get(reason) or by_code.get(meaning.code) or meaning.status
        found.setdefault(status, []).append((reason, meaning.title))
    return found


def _responses(reasons: Reasons, bodies: list[tuple[str, Schema]]) -> Schema:
    return {str(status): _response(status, told, bodies) for status, told in sorted(reasons.items())}


def _without_bodies(responses: Schema, formats: Iterable[error_pb2.ErrorFormat]) -> Schema:
    """Take the body from the statuses whose codes are answered without one."""
    for declared in formats:
        if declared.empty:
            for code in declared.codes:
                responses.get(str(STATUS_OF_CODE[code]), {}).pop("content", None)
    return responses


def _response(status: int, reasons: list[tuple[str, str]], bodies: list[tuple[str, Schema]]) -> Schema:
    named = "\n".join(f"* `{reason}`: {title}" for reason, title in sorted(reasons))
    described = f"{phrase(status)}.\n\n{named}" if named else phrase(status)
    content: dict[str, list[Schema]] = defaultdict(list)
    for media_type, schema in bodies:
        if media_type and schema not in content[media_type]:
            content[media_type].append(schema)
    printed = {name: {"schema": all_[0] if len(all_) == 1 else {"anyOf": all_}} for name, all_ in content.items()}
    return {"description": described, **({"content": printed} if printed else {})}
