"""Answers failures as a face says: its rows choose status, number and text, its formats the body."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from jobyard.rest.v1 import error_pb2, face_pb2
from jobyard_server.transcoding.error_bodies import Fill, Told, filler
from jobyard_server.transcoding.failures import NOWHERE, Failure, Scene, of_status
from jobyard_server.transcoding.media import JSON, TEXT
from jobyard_server.transcoding.phrases import phrase
from jobyard_server.transcoding.reasons import Meaning
from jobyard_server.transcoding.reply import Header, Reply, content_type, header
from jobyard_server.transcoding.surface import DeclarationError
from jobyard_server.transcoding.wording import Wording, wording

Encode = Callable[[Message], bytes]
Tree = Callable[[Message], object]

_DEFAULT_FORMAT = error_pb2.ErrorFormat(message=status_pb2.Status.DESCRIPTOR.full_name)


@dataclass(frozen=True, slots=True)
class Printers:
    """How messages become JSON: the codec, compiled for a face on demand."""

    encode: Callable[[type[Message]], Encode]
    tree: Callable[[type[Message]], Tree]


@dataclass(frozen=True, slots=True)
class _Format:
    """One way in which errors look."""

    layer: bool
    reasons: frozenset[str]
    codes: frozenset[int]
    text: Wording | None
    kind: type[Message] | None
    fill: Fill | None
    media_type: str
    headers: tuple[tuple[str, Wording], ...]

    def fits(self, failure: Failure) -> bool:
        """Tell whether a failure is printed in this way."""
        if not (self.layer or self.reasons or self.codes):
            return True
        return (self.layer and failure.layer) or failure.reason in self.reasons or failure.code in self.codes

    def message(self, told: Told) -> Message | None:
        """Fill the message of the format; None when errors are text or empty."""
        if self.kind is None or self.fill is None:
            return None
        body = self.kind()
        self.fill(body, told)
        return body


class ErrorPrinter:
    """The errors of one face, or of one method of it."""

    def __init__(
        self,
        face: face_pb2.Face,
        method: error_pb2.MethodErrors,
        pool: DescriptorPool,
        printers: Printers,
        *,
        texts: bool,
    ) -> None:
        self._printers = printers
        self._formats = tuple(_format(each, face, pool) for each in formats_of(face, method, texts=texts))
        self._rows = (*method.rows, *face.rows)
        self._words = {text: _wording(text, face) for row in self._rows for text in (row.text, row.remediation) if text}
        self._fixed = fixed_headers(face)
        self._challenges = tuple(
            _wording(credential.challenge, face) for credential in face.credentials if credential.challenge
        )

    def reply(self, failure: Failure, scene: Scene) -> Reply:
        """Answer a failure."""
        told = self._tell(failure, scene)
        chosen = self._choose(failure)
        headers = [header(name, told.say(words)) for name, words in chosen.headers]
        headers = [*self._fixed, *(line for line in headers if line[1])]
        headers += self._due(told)
        body = self._body(chosen, told)
        if body is None:
            return Reply(told.status, headers)
        headers.append(content_type(chosen.media_type))
        return Reply(told.status, headers, body)

    def item(self, status: Message, meanings: Mapping[str, Meaning]) -> object:
        """Print the status of one item of a bulk answer, as a tree."""
        assert isinstance(status, status_pb2.Status)
        failure = of_status(status, meanings)
        told = self._tell(failure, NOWHERE)
        chosen = self._choose(failure)
        body = chosen.message(told)
        if body is None:
            return told.say(chosen.text) if chosen.text is not None else None
        return self._printers.tree(type(body))(body)

    def status_of(self, failure: Failure) -> int:
        """Give the HTTP status with which a failure is answered."""
        row = self._row(failure)
        return row.status or failure.status

    def _body(self, chosen: _Format, told: Told) -> bytes | None:
        if chosen.text is not None:
            return told.say(chosen.text).encode()
        body = chosen.message(told)
        return None if body is None else self._printers.encode(type(body))(body)

    def _choose(self, failure: Failure) -> _Format:
        return next((each for each in self._formats if each.fits(failure)), self._formats[-1])

    def _row(self, failure: Failure) -> error_pb2.ErrorRow:
        first = failure.violations[0].field if failure.violations else ""
        for row in self._rows:
            if row.reason and row.reason == failure.reason and row.field in {"", first}:
                return row
        for row in self._rows:
            if not row.reason and row.code == failure.code:
                return row
        return error_pb2.ErrorRow()

    def _tell(self, failure: Failure, scene: Scene) -> Told:
        row = self._row(failure)
        status = row.status or failure.status
        title = row.title or failure.title or phrase(status)
        facts = _facts(failure, scene, status, row, title)
        violations = () if row.complete else failure.violations
        told = Told(failure, scene, status, row.number, title, failure.message, "", violations, facts)
        message = told.say(self._words[row.text]) if row.text else failure.message
        facts["message"] = message
        remediation = told.say(self._words[row.remediation]) if row.remediation else ""
        facts["remediation"] = remediation
        return replace(told, message=message, remediation=remediation)

    def _due(self, told: Told) -> list[Header]:
        """Give the headers that HTTP itself asks for with some statuses."""
        headers: list[Header] = []
        if told.status == 401:
            headers += [header("WWW-Authenticate", told.say(words)) for words in self._challenges]
        if told.status == 405 and told.failure.facts.get("allowed"):
            headers.append(header("Allow", told.failure.facts["allowed"]))
        for detail in told.failure.details:
            if isinstance(detail, error_details_pb2.RetryInfo):
                delay = detail.retry_delay
                headers.append(header("Retry-After", str(max(1, delay.seconds + (delay.nanos > 0)))))
        return headers


def formats_of(face: face_pb2.Face, method: error_pb2.MethodErrors, *, texts: bool) -> Sequence[error_pb2.ErrorFormat]:
    """Give the ways in which the errors of a method look; `texts` says that it writes nothing but text."""
    return (*method.formats, *(each for each in face.errors or [_DEFAULT_FORMAT] if texts or not each.texts))


def fixed_headers(face: face_pb2.Face) -> list[Header]:
    """Give the headers that every answer of a face carries."""
    return [header(each.name, each.text) for each in face.headers]


def _facts(failure: Failure, scene: Scene, status: int, row: error_pb2.ErrorRow, title: str) -> dict[str, str]:
    first = failure.violations[0] if failure.violations else None
    facts = dict(failure.facts)
    facts |= {
        "message": failure.message,
        "reason": failure.reason,
        "code": code_pb2.Code.Name(failure.code),
        "status": str(status),
        "phrase": phrase(status),
        "number": row.number or "0",
        "title": title,
        "path": scene.path,
        "method": scene.method,
        "request_id": scene.request_id,
        "trace_id": scene.trace_id or scene.request_id,
        "public_url": scene.public_url,
    }
    if first is not None:
        facts |= {"field": first.field, "value": first.value, "description": first.description, "before": first.before}
    return facts


def _format(declared: error_pb2.ErrorFormat, face: face_pb2.Face, pool: DescriptorPool) -> _Format:
    kind = None if declared.text or declared.empty or not declared.message else kind_of(declared.message, face, pool)
    return _Format(
        layer=declared.layer,
        reasons=frozenset(declared.reasons),
        codes=frozenset(declared.codes),
        text=_wording(declared.text, face) if declared.text else None,
        kind=kind,
        fill=filler(cast("Descriptor", kind.DESCRIPTOR)) if kind is not None else None,
        media_type=declared.media_type or (TEXT if declared.text else JSON),
        headers=tuple((each.name, _wording(each.text, face)) for each in declared.headers),
    )


def kind_of(name: str, face: face_pb2.Face, pool: DescriptorPool) -> type[Message]:
    """Find the message that a face prints as its errors; google.rpc.Status needs no import for that."""
    found: type[Message] = status_pb2.Status
    if name == _DEFAULT_FORMAT.message:
        return found
    try:
        found = message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
    except KeyError as error:
        raise DeclarationError(f"the face {face.name!r} prints {name}, which does not exist") from error
    return found


def _wording(text: str, face: face_pb2.Face) -> Wording:
    try:
        return wording(text)
    except ValueError as error:
        raise DeclarationError(f"the face {face.name!r}: {error}") from error
