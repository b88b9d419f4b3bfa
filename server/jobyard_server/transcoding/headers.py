"""Binds request headers to fields, and turns headers into the metadata that a gRPC client would have sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from jobyard.rest.v1 import annotations_pb2 as rest
from jobyard.rest.v1 import binding_pb2, face_pb2, json_pb2
from jobyard_server.transcoding.backend import Metadata, Violation
from jobyard_server.transcoding.codec.dialect import Dialect
from jobyard_server.transcoding.media import bare
from jobyard_server.transcoding.parameters import Parameter, Rules, parameter
from jobyard_server.transcoding.query import Wrong
from jobyard_server.transcoding.refusals import shown, wrong_all
from jobyard_server.transcoding.surface import DeclarationError
from jobyard_server.transcoding.values import ValueRefusedError, bytes_of_base64

Headers = Mapping[bytes, bytes]
"""Header lines by lower-case name; several lines of one name are joined by commas."""

_TAG = re.compile(r'\s*(?:W/)?(?:"([^"]*)"|([^",\s]+))\s*(?:,|$)')


@dataclass(frozen=True)
class _Binding:
    """One field filled from a header."""

    names: tuple[bytes, ...]
    required: bool
    form: int
    into: Parameter
    in_body: str
    """Name of the field, where the body may have filled it."""


class HeaderTable:
    """The fields of a request that come from headers."""

    def __init__(self, message: Descriptor, dialect: Dialect, blank: int) -> None:
        self._bindings = tuple(
            _binding(field, dialect, blank)
            for field in message.fields
            if field.GetOptions().Extensions[rest.header].name
        )

    def __len__(self) -> int:
        return len(self._bindings)

    def bind(self, message: Message, headers: Headers) -> None:
        """Fill the fields; raises RequestRefused."""
        wrong: list[Wrong] = []
        for binding in self._bindings:
            value = next((headers[name] for name in binding.names if name in headers), None)
            if value is None:
                if binding.required:
                    wrong.append(("PARAMETER_MISSING", Violation(binding.into.label, "is required")))
                continue
            try:
                _fill_beside_body(binding, message, text_of(value))
            except ValueRefusedError as error:
                wrong.append(("PARAMETER_INVALID", Violation(binding.into.label, str(error), shown(text_of(value)))))
        if wrong:
            raise wrong_all(wrong)


def text_of(value: bytes) -> str:
    """Read a header's value: UTF-8 where it is, else Latin-1, in which every byte is a character."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def joined(lines: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Put header lines into a mapping, joining repeated ones as RFC 9110 allows."""
    headers = dict(lines)
    if len(headers) == len(lines):
        return headers
    headers.clear()
    for name, value in lines:
        headers[name] = headers[name] + b", " + value if name in headers else value
    return headers


def entity_tags(value: str) -> list[str]:
    """Take a list of entity tags apart: quotes and the weak mark are dropped, `*` is kept."""
    return [match[1] if match[1] is not None else match[2] for match in _TAG.finditer(value)]


def _binding(field: FieldDescriptor, dialect: Dialect, blank: int) -> _Binding:
    options = field.GetOptions().Extensions[rest.header]
    wanted = options.blank or blank
    if options.form == binding_pb2.HEADER_FORM_LIST and wanted != json_pb2.BLANK_REJECT:
        wanted = json_pb2.BLANK_UNSET
    into = parameter((field,), options.name, dialect, Rules(blank=wanted))
    if into is None:
        raise DeclarationError(f"{field.full_name} cannot be filled from a header")
    if options.in_body and field.is_repeated:
        raise DeclarationError(f"{field.full_name} is repeated, so header and body would both add to it")
    names = tuple(name.lower().encode() for name in (options.name, *options.also))
    return _Binding(names, options.required, options.form, into, field.name if options.in_body else "")


def _fill_beside_body(binding: _Binding, message: Message, text: str) -> None:
    said = getattr(message, binding.in_body) if binding.in_body else None
    _fill(binding, message, text)
    if said and getattr(message, binding.in_body) != said:
        raise ValueRefusedError("is not what the body says")


def _fill(binding: _Binding, message: Message, text: str) -> None:
    into = binding.into
    if binding.form == binding_pb2.HEADER_FORM_ENTITY_TAG:
        tags = entity_tags(text)
        if not into.repeated and len(tags) > 1:
            raise ValueRefusedError("takes a single entity tag")
        for tag in tags:
            into.write(message, tag)
    elif binding.form == binding_pb2.HEADER_FORM_DATE:
        moment = _moment(text)
        if moment is not None:
            into.write(message, moment)
    elif binding.form == binding_pb2.HEADER_FORM_LIST:
        items = [part.strip() for part in text.split(",")]
        # A list may have empty elements, which do not count; one of nothing else is a blank value.
        for item in list(filter(None, items)) or [""]:
            into.put(message, item)
    elif binding.form == binding_pb2.HEADER_FORM_MEDIA_TYPE:
        _fill_known(into, message, text)
    else:
        into.put(message, text)


def _fill_known(into: Parameter, message: Message, text: str) -> None:
    """Take the first media type that the field has a word for."""
    for part in text.split(","):
        with suppress(ValueRefusedError):
            into.write(message, bare(part))
            return


def _moment(text: str) -> str | None:
    """Turn an HTTP date into RFC 3339; a date that cannot be read counts as none, as RFC 9110 wants it."""
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    return moment.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


class MetadataMap:
    """Which headers become metadata: those allowed by name, those with a prefix, and the face's credentials."""

    def __init__(self, allowed: frozenset[str], prefix: str, face: face_pb2.Face) -> None:
        self._names = {name.lower().encode(): name.lower() for name in allowed}
        self._prefix = prefix.lower().encode()
        self._credentials = tuple(
            (credential.header.lower().encode(), credential.scheme) for credential in face.credentials
        )

    def of(self, lines: list[tuple[bytes, bytes]], headers: Headers) -> list[tuple[str, str | bytes]]:
        """Translate the header lines of a request."""
        names = self._names
        prefix = self._prefix
        found: list[tuple[str, str | bytes]] = []
        for line, value in lines:
            name = names.get(line)
            if name is not None:
                found.append((name, value.decode("latin-1")))
            elif prefix and line.startswith(prefix):
                found += _prefixed(line[len(prefix) :].decode("latin-1"), value)
        for header, scheme in self._credentials:
            credential = headers.get(header)
            if credential is not None:
                found.append(("authorization", _authorization(credential.decode("latin-1"), scheme)))
                break
        return found


_KEY = re.compile(r"[0-9a-z_.-]{1,128}")
_RESERVED_PREFIX = "grpc-"
_RESERVED = frozenset(
    (
        *("authorization", "x-request-id", "content-type", "te", "user-agent", "host", "connection", "upgrade"),
        *("content-length", "transfer-encoding", "trailer", "keep-alive", "proxy-connection"),
    )
)
"""What the server says itself, and what gRPC and HTTP keep for themselves."""


def _prefixed(key: str, value: bytes) -> Metadata:
    if not _KEY.fullmatch(key) or key.startswith(_RESERVED_PREFIX) or key in _RESERVED:
        return ()
    text = value.decode("latin-1")
    if not key.endswith("-bin"):
        return ((key, text),)
    try:
        return tuple((key, bytes_of_base64(each.strip())) for each in text.split(","))
    except ValueRefusedError:
        return ()


def _authorization(value: str, scheme: str) -> str:
    """Say it as gRPC clients do: a bare token is a bearer token, a scheme is spelled as declared."""
    if not scheme:
        return f"Bearer {value}"
    given, _, token = value.partition(" ")
    return f"{scheme} {token.strip()}" if given.lower() == scheme.lower() else value
