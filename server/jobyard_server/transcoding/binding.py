"""Makes the request message of a route out of path, query, headers and body: each value decoded once, strictly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from jobyard_server.transcoding.backend import RequestRefused
from jobyard_server.transcoding.body_forms import BodyReader, body_reader
from jobyard_server.transcoding.codec.declared import is_raw
from jobyard_server.transcoding.codec.dialect import Dialect
from jobyard_server.transcoding.fields import enum_number, message_of, way
from jobyard_server.transcoding.headers import Headers, HeaderTable
from jobyard_server.transcoding.limits import Limits
from jobyard_server.transcoding.masks import mask_field, paths
from jobyard_server.transcoding.media import Form
from jobyard_server.transcoding.parameters import Parameter, Rules, parameter
from jobyard_server.transcoding.percent import MalformedEncodingError
from jobyard_server.transcoding.query import Manners, QueryTable, label
from jobyard_server.transcoding.refusals import of_item, refused, wrong
from jobyard_server.transcoding.router import MultiSegment, extractor
from jobyard_server.transcoding.surface import DeclarationError, MethodSpec, RouteSpec
from jobyard_server.transcoding.values import ValueRefusedError

Kind = Callable[[], Message]


@dataclass(frozen=True)
class Content:
    """A body as it arrived."""

    data: bytes
    form: Form
    media_type: str
    """The whole Content-Type."""


NO_CONTENT: Final = Content(b"", Form.JSON, "")


@dataclass(frozen=True)
class Item:
    """One message of a stream of requests, as it arrived."""

    index: int
    place: str
    """Where it stands in the body, for people: `line 3`, `[2]`."""
    data: bytes


class Binder:
    """Binds the requests of one route."""

    def __init__(
        self, spec: MethodSpec, route: RouteSpec, dialect: Dialect, limits: Limits, multi: MultiSegment
    ) -> None:
        request = spec.request
        where = f"{spec.name}, {route.verb} {route.template.text}"
        self._kind: Kind = message_factory.GetMessageClass(request)
        self._extract = extractor(route.template, multi)
        self._plain = _plain_variables(request, route)
        self._path = tuple(_path_parameter(request, each.field, dialect, where) for each in route.template.variables)
        self._headers = HeaderTable(request, dialect, spec.face.blank) or None
        manners = Manners.of(spec.face, limits.parameters)
        taken = {tuple(each.field) for each in route.template.variables} | {(route.body,)}
        self.query = QueryTable(request, dialect, manners, taken=taken, only_declared=route.body == "*")
        self._body = body_reader(request, route.body, dialect, limits, manners) if route.body else None
        self._body_required = spec.consumes.required
        self._mask = _mask(request, route, dialect)

    def bind(self, segments: list[str], query: str, headers: Headers, content: Content) -> Message:
        """Make the message; raises RequestRefused."""
        message = self._kind()
        if self._body is not None:
            self._bind_body(self._body, message, content)
        self._bind_around(message, segments, query, headers)
        if self._mask is not None and content.data and content.form is Form.JSON:
            self._mask(message, content.data)
        return message

    def bind_item(self, item: Item, segments: list[str], query: str, headers: Headers) -> Message:
        """Make one message of a stream of requests; what stands around the stream goes into each."""
        message = self._kind()
        if self._body is not None:
            try:
                self._body.read(message, item.data, Form.JSON, "")
            except RequestRefused as refusal:
                raise of_item(refusal, item.place, item.index) from refusal
        self._bind_around(message, segments, query, headers)
        return message

    def bind_piece(self, piece: bytes) -> Message:
        """Make a further message of a body that comes in pieces."""
        message = self._kind()
        if self._body is not None:
            self._body.read(message, piece, Form.BYTES, "")
        return message

    def _bind_around(self, message: Message, segments: list[str], query: str, headers: Headers) -> None:
        if self._path:
            self._bind_path(message, segments)
        if query or self.query.required:
            self.query.bind(message, query)
        if self._headers is not None:
            self._headers.bind(message, headers)

    def _bind_body(self, body: BodyReader, message: Message, content: Content) -> None:
        if content.data:
            body.read(message, content.data, content.form, content.media_type)
        elif self._body_required:
            raise refused("BODY_MISSING", "the request has no body")

    def _bind_path(self, message: Message, segments: list[str]) -> None:
        for start, name in self._plain:
            # Nearly every path: whole segments, nothing to decode, straight into strings.
            if "%" in segments[start]:
                break
            setattr(message, name, segments[start])
        else:
            if self._plain:
                return
        try:
            values = self._extract(segments)
        except MalformedEncodingError as malformed:
            raise refused("PATH_MALFORMED", f"the path: {malformed}") from malformed
        for into, value in zip(self._path, values, strict=True):
            try:
                into.write(into.owner(message), value)
            except ValueRefusedError as error:
                raise wrong("PARAMETER_INVALID", into.label, str(error), value) from error


def setter(request: Descriptor, sets: str, dialect: Dialect, where: str) -> Callable[[Message], None]:
    """Compile what puts a fixed value into a request: `view=SUMMARY`."""
    name, equals, text = sets.partition("=")
    steps = way(request, name, where=where)
    into = parameter(steps, name, dialect, Rules(blank=0))
    if into is None or not equals:
        raise DeclarationError(f"{where}: {sets!r} is not a field and its value")
    field = steps[-1]
    if field.enum_type is not None:
        number = enum_number(field.enum_type, text, where=where)
        return lambda message: setattr(into.owner(message), field.name, number)
    return lambda message: into.put(message, text)


def _plain_variables(request: Descriptor, route: RouteSpec) -> tuple[tuple[int, str], ...]:
    """Give segment and name of the variables, if all of them are strings that fill from one segment each."""
    plain = [
        (each.start, each.field[0])
        for each in route.template.variables
        if each.single and len(each.field) == 1 and _is_plain(request.fields_by_name.get(each.field[0]))
    ]
    return tuple(plain) if len(plain) == len(route.template.variables) else ()


def _is_plain(field: FieldDescriptor | None) -> bool:
    return (
        field is not None and field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated and not is_raw(field)
    )


def _path_parameter(request: Descriptor, names: tuple[str, ...], dialect: Dialect, where: str) -> Parameter:
    steps = way(request, names, where=where)
    if any(step.is_repeated for step in steps):
        raise DeclarationError(f"{where}: {'.'.join(names)} is repeated and cannot be filled from the path")
    into = parameter(steps, ".".join(label(step, dialect) for step in steps), dialect, Rules(blank=0))
    if into is None:
        raise DeclarationError(f"{where}: {'.'.join(names)} cannot be filled from the path")
    return into


def _mask(request: Descriptor, route: RouteSpec, dialect: Dialect) -> Callable[[Message, bytes], None] | None:
    if route.verb != "PATCH" or route.body in {"", "*"}:
        return None
    body = way(request, route.body, where=route.template.text)[-1]
    mask = mask_field(request, body)
    if mask is None:
        return None
    name = mask.name

    def fill(message: Any, data: bytes) -> None:
        if not message.HasField(name):
            found = list(dict.fromkeys(paths(orjson.loads(data), message_of(body), dialect)))
            if found:
                getattr(message, name).paths.extend(found)

    return fill
