"""Whole documents: one for each face, and one for all of them together."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

from jobyard.rest.v1 import annotations_pb2 as rest
from jobyard.rest.v1 import face_pb2
from jobyard_server.transcoding.codec.declared import is_header
from jobyard_server.transcoding.fields import way
from jobyard_server.transcoding.media import Form, bare
from jobyard_server.transcoding.openapi.comments import Comments
from jobyard_server.transcoding.openapi.constraints import Schema
from jobyard_server.transcoding.openapi.parameters import (
    header_parameters,
    path_of,
    path_parameters,
    query_parameters,
)
from jobyard_server.transcoding.openapi.responses import Errors, successes
from jobyard_server.transcoding.openapi.schemas import Schemas
from jobyard_server.transcoding.operation import FacePlan, Operation
from jobyard_server.transcoding.plan import Plan
from jobyard_server.transcoding.surface import DeclarationError

OPENAPI: Final = "3.1.0"
PLAIN: Final = "plain"
"""What the document of services without a face is called."""
_PARAMETER: Final = re.compile(r"\{([^}]*)\}")
_VERBS: Final = frozenset({"GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"})


def documents(plan: Plan, comments: Comments, profiles: frozenset[str] = frozenset()) -> dict[str, Schema]:
    """Print the document of each face by its name, `plain` for services without one, and `all`."""
    faces = {each.plan.face.name or PLAIN: each.plan for each in plan.operations}
    printed = {
        name: _Document(face, comments, profiles).of([o for o in plan.operations if o.plan is face])
        for name, face in sorted(faces.items())
    }
    return {**printed, "all": together(printed)}


def together(printed: dict[str, Schema]) -> Schema:
    """Join the documents of all faces; what two of them call alike keeps the name of its face in front."""
    whole: Schema = {
        "openapi": OPENAPI,
        "info": {"title": "All APIs of this server", "version": "1"},
        "tags": [],
        "paths": {},
        "components": {"schemas": {}, "responses": {}, "securitySchemes": {}},
    }
    for name, document in printed.items():
        own = _renamed(document, name)
        whole["tags"] += own["tags"]
        whole["paths"] |= own["paths"]
        for part, entries in own["components"].items():
            whole["components"][part] |= entries
    return whole


def _renamed(document: Schema, face: str) -> Schema:
    """Put the name of the face in front of every component, for faces may print the same message differently."""

    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: prefixed(value) if key == "$ref" else walk(value) for key, value in node.items()}
        return [walk(item) for item in node] if isinstance(node, list) else node

    def prefixed(reference: str) -> str:
        section, _, name = reference.rpartition("/")
        return f"{section}/{face}.{name}"

    renamed: Schema = walk(document)
    components = renamed["components"]
    renamed["components"] = {
        part: {f"{face}.{name}": value for name, value in entries.items()} for part, entries in components.items()
    }
    for tag in renamed["tags"]:
        tag["name"] = f"{face}.{tag['name']}"
    for operation in (o for path in renamed["paths"].values() for o in path.values()):
        operation["operationId"] = f"{face}.{operation['operationId']}"
        operation["tags"] = [f"{face}.{tag}" for tag in operation["tags"]]
        for need in operation.get("security", []):
            for scheme in list(need):
                need[f"{face}.{scheme}"] = need.pop(scheme)
    return renamed


class _Document:
    """Prints one face."""

    def __init__(self, plan: FacePlan, comments: Comments, profiles: frozenset[str]) -> None:
        self._plan = plan
        self._comments = comments
        self._profiles = profiles
        self._paths: dict[str, str] = {}
        self._errors = Errors(plan)
        bare_schemas = Schemas(plan.dialect, comments, {})
        self._schemas = Schemas(plan.dialect, comments, self._errors.schema(bare_schemas))

    def of(self, operations: Iterable[Operation]) -> Schema:
        """Print the document."""
        face = self._plan.face
        paths: dict[str, Schema] = {}
        tags: dict[str, Schema] = {}
        for operation in operations:
            if operation.route.verb in _VERBS:
                self._add(paths, operation)
                service = operation.spec.descriptor.containing_service
                tags[service.full_name] = {"name": service.name, **self._schemas.describe(service.full_name)}
        responses = self._errors.responses(self._schemas)
        schemes = _security_schemes(face)
        return {
            "openapi": OPENAPI,
            "info": _info(face),
            "tags": list(tags.values()),
            "paths": dict(sorted(paths.items())),
            "components": {
                "schemas": dict(sorted(self._schemas.components.items())),
                "responses": responses,
                "securitySchemes": schemes,
            },
        }

    def _add(self, paths: dict[str, Schema], operation: Operation) -> None:
        path, names = path_of(operation.route.template)
        printed = self._operation(operation, names)
        path = self._one_name(self._plan.mount.path(path), printed)
        verbs = paths.setdefault(path, {})
        verb = operation.route.verb.lower()
        if verb in verbs:
            _join(verbs[verb], printed)
        else:
            verbs[verb] = printed

    def _one_name(self, path: str, printed: Schema) -> str:
        """Spell paths alike that differ only in the names of their parameters: to OpenAPI they are the same path."""
        names = _PARAMETER.findall(path)
        known = self._paths.setdefault(_PARAMETER.sub("{}", path), path)
        renamed = dict(zip(names, _PARAMETER.findall(known), strict=True))
        for parameter in printed.get("parameters", []):
            if parameter["in"] == "path":
                parameter["name"] = renamed[parameter["name"]]
        return known

    def _operation(self, operation: Operation, names: list[tuple[str, tuple[str, ...]]]) -> Schema:
        method, request = operation.spec.descriptor, operation.spec.request
        parameters = path_parameters(names, request, self._schemas)
        parameters += query_parameters(operation.binder.query, self._plan.dialect, self._schemas)
        parameters += header_parameters(request, self._schemas)
        described = self._comments.of(operation.spec.name)
        first = operation.spec.routes[0] is operation.route
        service = method.containing_service
        printed: Schema = {
            "operationId": f"{service.name}.{method.name}" + ("" if first else f".{_index(operation)}"),
            "tags": [service.name],
            "summary": described.partition(". ")[0].partition("\n")[0].rstrip("."),
            "description": described,
        }
        if parameters:
            printed["parameters"] = parameters
        body = self._body(operation)
        if body is not None:
            printed["requestBody"] = body
        good = successes(operation, self._schemas, self._profiles)
        printed["responses"] = good | self._errors.of(operation, self._schemas)
        printed["security"] = self._security(operation)
        return printed

    def _security(self, operation: Operation) -> list[Schema]:
        permission = operation.spec.descriptor.GetOptions().Extensions[rest.permission]
        names = list(_security_schemes(self._plan.face))
        need: list[Schema] = [{name: []} for name in names]
        return [*need, {}] if permission.open or not names else need

    def _body(self, operation: Operation) -> Schema | None:
        if not operation.intake.takes:
            return None
        exact, schema = self._exact_body(operation)
        content: Schema = {}
        for pattern, form in operation.intake.types:
            if schema is None or (form is Form.BYTES and not exact):
                content[bare(pattern)] = {}
            else:
                content[bare(pattern)] = {"schema": _as_form(schema, form)}
        return {"required": operation.spec.consumes.required, "content": content}

    def _exact_body(self, operation: Operation) -> tuple[bool, Schema | None]:
        """Whether a body is kept byte for byte, and what is known of it then or otherwise."""
        if not operation.exact:
            return False, self._body_schema(operation)
        name: str = operation.spec.consumes.message
        if not name:
            return True, None
        try:
            found = self._plan.pool.FindMessageTypeByName(name)
        except KeyError as error:
            raise DeclarationError(f"{operation.spec.name} consumes {name}, which does not exist") from error
        return True, self._schemas.of_message(found)

    def _body_schema(self, operation: Operation) -> Schema:
        request, route = operation.spec.request, operation.route
        bound = {v.field[0] for v in route.template.variables if len(v.field) == 1}
        bound |= {field.name for field in operation.binder.query.fields}
        bound |= {field.name for field in request.fields if is_header(field)}
        if route.body == "*":
            schema = self._schemas.of_object(request, bound) if bound else self._schemas.of_message(request)
        else:
            field: FieldDescriptor = way(request, route.body, where=operation.spec.name)[-1]
            nested = {v.field[1] for v in route.template.variables if len(v.field) > 1 and v.field[0] == field.name}
            message = field.message_type
            beside = message is not None and not field.is_repeated and nested
            schema = self._schemas.of_object(message, nested) if message and beside else self._schemas.of_field(field)
        return {"type": "array", "items": schema} if operation.streams_in else schema


def _as_form(schema: Schema, form: Form) -> Schema:
    return {"type": "string"} if form is Form.TEXT else schema


def _join(printed: Schema, other: Schema) -> None:
    """Print two methods that share a verb and a path as one operation: OpenAPI cannot tell them apart by media type."""
    printed["description"] = "\n\n".join(filter(None, (printed["description"], other["description"])))
    known = {(each["in"], each["name"]): each for each in printed.get("parameters", [])}
    for each in other.get("parameters", []):
        known.setdefault((each["in"], each["name"]), each)
    if known:
        printed["parameters"] = list(known.values())
    if "requestBody" in other:
        body = printed.setdefault("requestBody", {"content": {}})
        body["content"] = {**other["requestBody"]["content"], **body["content"]}
        body["required"] = False
    for status, response in other["responses"].items():
        mine = printed["responses"].setdefault(status, response)
        if "content" in response and "content" in mine:
            mine["content"] = {**response["content"], **mine["content"]}


def _index(operation: Operation) -> int:
    return operation.spec.routes.index(operation.route) + 1


def _info(face: face_pb2.Face) -> Schema:
    info = {"title": face.title or face.name, "version": face.version or "1"}
    return {**info, **({"description": face.description} if face.description else {})}


def _security_schemes(face: face_pb2.Face) -> Schema:
    schemes: Schema = {}
    for credential in face.credentials:
        if credential.header.lower() == "authorization" and credential.scheme.lower() in {"bearer", "basic"}:
            schemes[credential.scheme.lower()] = {"type": "http", "scheme": credential.scheme.lower()}
        else:
            schemes[credential.header] = {"type": "apiKey", "in": "header", "name": credential.header}
    return schemes
