"""Reads what the protos declare: faces, the services that show them, and the routes of their methods."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from google.api import annotations_pb2 as google_http
from google.api import http_pb2
from google.protobuf.descriptor import Descriptor, FileDescriptor, MethodDescriptor, ServiceDescriptor

from jobyard.rest.v1 import annotations_pb2 as rest
from jobyard.rest.v1 import answer_pb2, error_pb2, face_pb2, link_pb2, media_pb2
from jobyard_server.transcoding.template import Template, parse

_OWN = frozenset({"name", "title", "description", "version", "prefixes", "like"})
"""What a face never has from another."""

BARE_FACE = face_pb2.Face(name="", title="REST", head=True)
"""The face of a service that names none: proto3 JSON, strict, google.rpc.Status as its error."""

_BODILESS = frozenset({"GET", "HEAD", "DELETE"})
_VERB = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""What HTTP can have for a verb."""


class DeclarationError(ValueError):
    """Options that contradict each other or name what does not exist."""


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """One verb and path of a method."""

    verb: str
    template: Template
    body: str
    """Field that takes the body, `*` for the whole message, empty for none."""
    response_body: str
    plain: bool
    """Declared with google.api.http, so other gateways see it too."""


@dataclass(frozen=True, slots=True)
class MethodSpec:
    """One method and everything declared about it."""

    descriptor: MethodDescriptor
    face: face_pb2.Face
    routes: tuple[RouteSpec, ...]
    answers: tuple[answer_pb2.Answer, ...]
    consumes: media_pb2.Consumes
    produces: tuple[media_pb2.Produces, ...]
    stream: media_pb2.StreamShape
    errors: error_pb2.MethodErrors
    page_links: tuple[link_pb2.Link, ...]

    @property
    def path(self) -> str:
        """Its gRPC path: `/package.Service/Method`."""
        return f"/{self.descriptor.containing_service.full_name}/{self.descriptor.name}"

    @property
    def name(self) -> str:
        """Its full name, for people."""
        return str(self.descriptor.full_name)

    @property
    def request(self) -> Descriptor:
        """The message that it takes."""
        return self.descriptor.input_type

    @property
    def response(self) -> Descriptor:
        """The message that it gives."""
        return self.descriptor.output_type


@dataclass(frozen=True, slots=True)
class Surface:
    """Everything that a set of services shows over REST."""

    faces: tuple[face_pb2.Face, ...]
    methods: tuple[MethodSpec, ...]


def read(services: Iterable[ServiceDescriptor], files: Iterable[FileDescriptor] = ()) -> Surface:
    """Collect the faces and methods of the services; raises DeclarationError and TemplateError.

    Faces are looked for in the files of the services, in what those import, and in the further `files`: a service does
    not have to import the file that registers its face.
    """
    chosen = list(services)
    faces = faces_of([*(service.file for service in chosen), *files])
    methods = tuple(_method(method, _face_of(service, faces)) for service in chosen for method in service.methods)
    shown = [face for face in faces.values() if any(method.face is face for method in methods)]
    if any(method.face is BARE_FACE for method in methods):
        shown.append(BARE_FACE)
    return Surface(tuple(shown), methods)


def faces_of(files: Iterable[FileDescriptor]) -> dict[str, face_pb2.Face]:
    """Find the faces that the files and their imports register."""
    faces: dict[str, face_pb2.Face] = {}
    origin: dict[str, str] = {}
    for file in _with_imports(files):
        for face in file.GetOptions().Extensions[rest.faces]:
            if face.name in faces:
                raise DeclarationError(f"the face {face.name!r} is registered by {origin[face.name]} and {file.name}")
            if not face.prefixes:
                raise DeclarationError(f"the face {face.name!r} of {file.name} has no prefix")
            faces[face.name] = face
            origin[face.name] = file.name
    return {name: _like(face, faces) for name, face in faces.items()}


def _like(face: face_pb2.Face, faces: dict[str, face_pb2.Face]) -> face_pb2.Face:
    """Fill what a face does not say from the one that it names."""
    if not face.like:
        return face
    other = faces.get(face.like)
    if other is None or other.like:
        raise DeclarationError(f"the face {face.name!r} is like {face.like!r}, which no file registers as a whole")
    whole = face_pb2.Face()
    whole.CopyFrom(other)
    lists = {field.name for field, _ in face.ListFields() if field.is_repeated}
    for name in _OWN | lists:
        whole.ClearField(name)  # type: ignore[arg-type] # one of its fields
    whole.MergeFrom(face)
    whole.ClearField("rows")
    whole.rows.extend((*face.rows, *other.rows))
    return whole


def _with_imports(files: Iterable[FileDescriptor]) -> Iterator[FileDescriptor]:
    seen: set[str] = set()
    waiting = list(files)
    while waiting:
        file = waiting.pop()
        if file.name in seen:
            continue
        seen.add(file.name)
        waiting.extend(file.dependencies)
        yield file


def _face_of(service: ServiceDescriptor, faces: dict[str, face_pb2.Face]) -> face_pb2.Face:
    name = service.GetOptions().Extensions[rest.face]
    if not name:
        return BARE_FACE
    if name not in faces:
        raise DeclarationError(f"{service.full_name} names the face {name!r}, which no file registers")
    return faces[name]


def _method(method: MethodDescriptor, face: face_pb2.Face) -> MethodSpec:
    options = method.GetOptions()
    known = options.Extensions
    routes: list[RouteSpec] = []
    if options.HasExtension(google_http.http):
        routes += _routes(known[google_http.http], method, plain=True)
    for rule in known[rest.route]:
        routes += _routes(rule, method, plain=False)
    return MethodSpec(
        descriptor=method,
        face=face,
        routes=tuple(routes),
        answers=tuple(known[rest.answer]),
        consumes=known[rest.consumes],
        produces=tuple(known[rest.produces]),
        stream=known[rest.stream],
        errors=known[rest.errors],
        page_links=tuple(known[rest.page_link]),
    )


def _routes(rule: http_pb2.HttpRule, method: MethodDescriptor, *, plain: bool) -> Iterator[RouteSpec]:
    pattern = rule.WhichOneof("pattern")
    if pattern is None:
        raise DeclarationError(f"{method.full_name}: a rule has no verb: {rule}")
    if pattern == "custom":
        verb, text = rule.custom.kind, rule.custom.path
    else:
        verb, text = pattern.upper(), getattr(rule, pattern)
    if not _VERB.fullmatch(verb):
        raise DeclarationError(f"{method.full_name}: {verb!r} is no verb of HTTP")
    if rule.body not in {"", "*"} and rule.body not in method.input_type.fields_by_name:
        raise DeclarationError(
            f"{method.full_name}: the body is {rule.body}, which is not a field of {method.input_type.full_name}"
        )
    # A body of GET and DELETE has no meaning in HTTP; clients that send `{}` with them are common.
    body = "" if verb in _BODILESS else rule.body
    yield RouteSpec(verb, parse(text), body, rule.response_body, plain)
    for extra in rule.additional_bindings:
        if extra.additional_bindings:
            raise DeclarationError(f"{method.full_name}: additional_bindings of {text} are nested")
        yield from _routes(extra, method, plain=plain)
