"""Reads a body, in whatever form it came, into the field that takes it: JSON, forms, text or bytes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, partial
from typing import Any, Protocol

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from jobyard_server.transcoding.backend import RequestRefused
from jobyard_server.transcoding.codec import CodecError, Dialect, compile_decoder, compile_field_decoder
from jobyard_server.transcoding.fields import message_of, way
from jobyard_server.transcoding.limits import Limits
from jobyard_server.transcoding.media import Form
from jobyard_server.transcoding.multipart import parts
from jobyard_server.transcoding.query import Manners, QueryTable
from jobyard_server.transcoding.refusals import refused, wrong
from jobyard_server.transcoding.values import ValueRefusedError, writer

HTTP_BODY = "google.api.HttpBody"
_F = FieldDescriptor


class BodyReader(Protocol):
    """Puts a body into a request."""

    def read(self, message: Message, data: bytes, form: Form, media_type: str) -> None:
        """Read the body; raises RequestRefused."""
        ...


def body_reader(request: Descriptor, body: str, dialect: Dialect, limits: Limits, manners: Manners) -> BodyReader:
    """Compile the reader of bodies that go into `body`: a field of the request, or `*` for all of it."""
    if body == "*":
        if request.full_name == HTTP_BODY:
            return _ExactReader(None)
        return _MessageReader(request, dialect, limits, manners)
    field = request.fields_by_name[body]
    if field.message_type is not None and field.message_type.full_name == HTTP_BODY and not field.is_repeated:
        return _ExactReader(field)
    return _FieldReader(field, dialect, limits, manners)


def is_exact(message: Descriptor, body: str, *, where: str) -> bool:
    """Tell whether the field `body` of a message, or all of it, is a google.api.HttpBody, whose bytes are kept."""
    kind: Descriptor | None = message
    if body:
        field = way(message, body, where=where)[-1]
        kind = None if field.is_repeated else field.message_type
    return kind is not None and kind.full_name == HTTP_BODY


def refused_by_codec(error: CodecError) -> RequestRefused:
    """Turn what the codec found wrong into a refusal."""
    if not error.path:
        return refused("BODY_MALFORMED", f"the body {error.description}")
    return wrong(error.reason, error.path, error.description, error.value)


class _MessageReader:
    """Reads a body that is the whole request."""

    def __init__(self, request: Descriptor, dialect: Dialect, limits: Limits, manners: Manners) -> None:
        self._decode = compile_decoder(request, dialect)
        self._form = _FormReader(request, dialect, limits, manners)

    def read(self, message: Message, data: bytes, form: Form, media_type: str) -> None:
        if form is Form.URLENCODED or form is Form.MULTIPART:
            self._form.read(message, data, form, media_type)
            return
        try:
            self._decode(data, message)
        except CodecError as error:
            raise refused_by_codec(error) from error


class _FieldReader:
    """Reads a body that is one field of the request."""

    def __init__(self, field: FieldDescriptor, dialect: Dialect, limits: Limits, manners: Manners) -> None:
        self._field = field
        self._decode = compile_field_decoder(field, dialect)
        self._text = writer(field, dialect) if not field.is_repeated else None
        nested = field.message_type is not None and not field.is_repeated
        self._form = _FormReader(message_of(field), dialect, limits, manners, inside=1) if nested else None

    def read(self, message: Message, data: bytes, form: Form, media_type: str) -> None:
        name = self._field.name
        if form is Form.TEXT and self._text is not None:
            self._read_text(message, data)
        elif form is Form.BYTES and self._field.type == _F.TYPE_BYTES:
            setattr(message, name, data)
        elif self._form is not None and (form is Form.URLENCODED or form is Form.MULTIPART):
            target = getattr(message, name)
            target.SetInParent()
            self._form.read(target, data, form, media_type)
        else:
            try:
                self._decode(data, message)
            except CodecError as error:
                raise refused_by_codec(error) from error

    def _read_text(self, message: Message, data: bytes) -> None:
        assert self._text is not None
        try:
            self._text(message, data.decode())
        except UnicodeDecodeError as error:
            raise refused("BODY_MALFORMED", "the body is no UTF-8") from error
        except ValueRefusedError as error:
            raise wrong("FIELD_INVALID", self._field.name, str(error)) from error


class _ExactReader:
    """Keeps a body byte for byte, with its media type, in a google.api.HttpBody."""

    def __init__(self, field: FieldDescriptor | None) -> None:
        self._name = field.name if field is not None else ""

    def read(self, message: Message, data: bytes, form: Form, media_type: str) -> None:  # noqa: ARG002 - any form will do
        target: Any = getattr(message, self._name) if self._name else message
        target.content_type = media_type
        target.data = data


class _FormReader:
    """Reads HTML forms: like a query, with files into bytes."""

    def __init__(
        self, message: Descriptor, dialect: Dialect, limits: Limits, manners: Manners, *, inside: int = 0
    ) -> None:
        self._make = partial(QueryTable, message, dialect, manners.for_form(message), inside=inside)
        self._limits = limits

    # Most methods never get a form.

    @cached_property
    def _table(self) -> QueryTable:
        return self._make()

    @cached_property
    def _parts(self) -> QueryTable:
        return self._make(octets=True)

    def read(self, message: Message, data: bytes, form: Form, media_type: str) -> None:
        if form is Form.URLENCODED:
            self._table.bind(message, _ascii(data))
        else:
            self._parts.bind_pairs(message, self._fields(data, media_type))

    def _fields(self, data: bytes, media_type: str) -> Iterator[tuple[str, str, str]]:
        for part in parts(data, media_type, self._limits.parts):
            field = self._parts.find(part.name)
            try:
                text = part.content.decode("latin-1" if field is not None and field.octets else "utf-8")
            except UnicodeDecodeError as error:
                raise wrong("FIELD_INVALID", part.name, "must be text in UTF-8") from error
            yield part.name, text, text


def _ascii(data: bytes) -> str:
    try:
        return data.decode("ascii")
    except UnicodeDecodeError as error:
        raise refused("BODY_MALFORMED", "the form has bytes that are not percent-encoded") from error
