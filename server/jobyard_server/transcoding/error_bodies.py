"""Fills the error message that a face names: which fact goes into which field is declared on the message itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from google.protobuf import any_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.rpc import code_pb2, status_pb2

from jobyard.rest.v1 import annotations_pb2 as rest
from jobyard.rest.v1 import error_pb2
from jobyard_server.transcoding.backend import Violation
from jobyard_server.transcoding.failures import Failure, Scene
from jobyard_server.transcoding.fields import message_of
from jobyard_server.transcoding.phrases import phrase
from jobyard_server.transcoding.surface import DeclarationError
from jobyard_server.transcoding.wording import Wording, wording

_F = FieldDescriptor
_E = error_pb2


@dataclass(frozen=True, slots=True)
class Told:
    """A failure in the words of a face."""

    failure: Failure
    scene: Scene
    status: int
    number: str
    title: str
    message: str
    remediation: str
    violations: tuple[Violation, ...]
    """Those that the text does not speak of."""
    facts: dict[str, str]
    """What templates may speak of."""

    def say(self, text: Wording) -> str:
        """Fill a template; what is not known is left out."""
        return text.fill(lambda slot: self.facts.get(slot.name, ""))


Fact = Callable[[Told], Any]
Fill = Callable[[Message, Told], None]

_FACTS: dict[int, Fact] = {
    _E.ERROR_SOURCE_STATUS: lambda told: told.status,
    _E.ERROR_SOURCE_PHRASE: lambda told: phrase(told.status),
    _E.ERROR_SOURCE_NUMBER: lambda told: told.number,
    _E.ERROR_SOURCE_REASON: lambda told: told.failure.reason,
    _E.ERROR_SOURCE_MESSAGE: lambda told: told.message,
    _E.ERROR_SOURCE_TITLE: lambda told: told.title,
    _E.ERROR_SOURCE_REMEDIATION: lambda told: told.remediation,
    _E.ERROR_SOURCE_PATH: lambda told: told.scene.path,
    _E.ERROR_SOURCE_METHOD: lambda told: told.scene.method,
    _E.ERROR_SOURCE_REQUEST_ID: lambda told: told.scene.request_id,
    _E.ERROR_SOURCE_TRACE_ID: lambda told: told.scene.trace_id or told.scene.request_id,
    _E.ERROR_SOURCE_DOMAIN: lambda told: told.failure.domain,
}
_ITEM_FACTS: dict[int, Callable[[Violation], str]] = {
    _E.ERROR_SOURCE_FIELD: lambda violation: violation.field,
    _E.ERROR_SOURCE_DESCRIPTION: lambda violation: violation.description,
    _E.ERROR_SOURCE_VALUE: lambda violation: violation.value,
}


def filler(message: Descriptor) -> Fill:
    """Compile what fills an error message; raises DeclarationError."""
    if message.full_name == status_pb2.Status.DESCRIPTOR.full_name:
        return _fill_status
    fills = [fill for field in message.fields if (fill := _field(field)) is not None]
    if not fills:
        raise DeclarationError(f"no field of the error message {message.full_name} says error_part")

    def fill_all(body: Message, told: Told) -> None:
        for fill in fills:
            fill(body, told)

    return fill_all


def _field(field: FieldDescriptor) -> Fill | None:
    part = field.GetOptions().Extensions[rest.error_part]
    fill = _unbounded(field, part)
    if fill is None or not (part.from_status or part.to_status):
        return fill
    low, high = part.from_status, part.to_status or 599
    bounded = fill

    def fill_between(body: Message, told: Told) -> None:
        if low <= told.status <= high:
            bounded(body, told)

    return fill_between


def _unbounded(field: FieldDescriptor, part: error_pb2.ErrorPart) -> Fill | None:
    if part.text:
        return _texts(field, part)
    if part.source in _COMPILERS:
        return _COMPILERS[part.source](field)
    if part.source:
        return _single(field, _FACTS[part.source])
    return _nested(field) if field.message_type is not None and not field.is_repeated else None


def _nested(field: FieldDescriptor) -> Fill | None:
    message = message_of(field)
    if not any(child.GetOptions().HasExtension(rest.error_part) for child in message.fields):
        return None
    fill = filler(message)
    name = field.name
    return lambda body, told: fill(getattr(body, name), told)


def _single(field: FieldDescriptor, fact: Fact) -> Fill:
    name, cast = field.name, _cast(field)

    def fill(body: Message, told: Told) -> None:
        value = fact(told)
        if value != "":
            setattr(body, name, cast(value))

    return fill


def _texts(field: FieldDescriptor, part: error_pb2.ErrorPart) -> Fill:
    name, cast = field.name, _cast(field)
    words = [wording(text) for text in part.text]
    server = wording(part.server_text) if part.server_text else None

    def said(told: Told) -> list[str]:
        chosen = [server] if server is not None and told.status >= 500 else words
        return [
            told.say(text) for text in chosen if not text.slots or any(told.facts.get(slot.name) for slot in text.slots)
        ]

    if field.is_repeated:
        return lambda body, told: getattr(body, name).extend(cast(text) for text in said(told))

    def fill(body: Message, told: Told) -> None:
        for text in said(told):
            setattr(body, name, cast(text))

    return fill


def _violations(field: FieldDescriptor) -> Fill:
    name = field.name
    if field.message_type is None:
        return lambda body, told: getattr(body, name).extend(
            f"{each.field}: {each.description}" if each.field else each.description for each in told.violations
        )
    parts = [
        (child.name, _ITEM_FACTS[source])
        for child in field.message_type.fields
        if (source := child.GetOptions().Extensions[rest.error_part].source) in _ITEM_FACTS
    ]
    constant = [
        (child, child.GetOptions().Extensions[rest.error_part])
        for child in field.message_type.fields
        if child.GetOptions().Extensions[rest.error_part].text
    ]
    constant_fills = [_item_text(child, part) for child, part in constant]

    def fill(body: Message, told: Told) -> None:
        for each in told.violations:
            item = getattr(body, name).add()
            for part_name, fact in parts:
                setattr(item, part_name, fact(each))
            for fill_text in constant_fills:
                fill_text(item, told, each)

    return fill


def _item_text(field: FieldDescriptor, part: error_pb2.ErrorPart) -> Callable[[Message, Told, Violation], None]:
    """Fill a template inside an item: there `{field}`, `{value}` and `{description}` are those of the item."""
    name, cast, words = field.name, _cast(field), [wording(text) for text in part.text]

    def fill(item: Message, told: Told, each: Violation) -> None:
        facts = told.facts | {"field": each.field, "value": each.value, "description": each.description}
        said = [text.fill(lambda slot: facts.get(slot.name, "")) for text in words]
        if field.is_repeated:
            getattr(item, name).extend(cast(text) for text in said)
        else:
            setattr(item, name, cast(said[0]))

    return fill


def _timestamp(field: FieldDescriptor) -> Fill:
    name = field.name
    if field.message_type is not None:
        return lambda body, _: getattr(body, name).GetCurrentTime()
    if _is_number(field):
        return lambda body, _: setattr(body, name, time.time_ns() // 1_000_000)
    return lambda body, _: setattr(
        body, name, datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def _is_number(field: FieldDescriptor) -> bool:
    return field.cpp_type not in {_F.CPPTYPE_STRING, _F.CPPTYPE_MESSAGE}


def _cast(field: FieldDescriptor) -> Callable[[Any], Any]:
    if field.cpp_type == _F.CPPTYPE_BOOL:
        return lambda value: str(value) == "true"
    if field.cpp_type in {_F.CPPTYPE_DOUBLE, _F.CPPTYPE_FLOAT}:
        return float
    return _whole if _is_number(field) else str


def _whole(value: object) -> int:
    """Take what an API calls an error as a number where it is one."""
    text = str(value)
    return int(text) if text.removeprefix("-").isdecimal() else 0


def _code_name(told: Told) -> str:
    return str(code_pb2.Code.Name(told.failure.code))


def _code_number(told: Told) -> int:
    return told.failure.code


def _packed(told: Told) -> list[any_pb2.Any]:
    packed: list[any_pb2.Any] = []
    for detail in told.failure.details:
        if isinstance(detail, any_pb2.Any):
            packed.append(detail)
        else:
            packed.append(any_pb2.Any())
            packed[-1].Pack(detail)
    return packed


def _details(field: FieldDescriptor) -> Fill:
    name = field.name
    return lambda body, told: getattr(body, name).extend(_packed(told))


def _metadata(field: FieldDescriptor) -> Fill:
    name = field.name
    return lambda body, told: getattr(body, name).update(told.failure.facts)


def _code(field: FieldDescriptor) -> Fill:
    return _single(field, _code_number if _is_number(field) else _code_name)


_COMPILERS: dict[int, Callable[[FieldDescriptor], Fill]] = {
    _E.ERROR_SOURCE_VIOLATIONS: _violations,
    _E.ERROR_SOURCE_DETAILS: _details,
    _E.ERROR_SOURCE_METADATA: _metadata,
    _E.ERROR_SOURCE_TIMESTAMP: _timestamp,
    _E.ERROR_SOURCE_CODE: _code,
}


def _fill_status(body: Message, told: Told) -> None:
    """Fill a google.rpc.Status, the error of those who declare no other."""
    assert isinstance(body, status_pb2.Status)
    body.code = told.failure.code
    body.message = told.message
    body.details.extend(_packed(told))
