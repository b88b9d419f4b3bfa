"""Failures of any origin brought into one form: what happened, what the reason says, what the client may know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from jobyard_server.transcoding.backend import Metadata, RequestRefused, RpcFailure, Violation
from jobyard_server.transcoding.phrases import phrase
from jobyard_server.transcoding.reasons import LAYER, STATUS_OF_CODE, Meaning

LAYER_DOMAIN = "jobyard.rest.v1"
"""Domain of the ErrorInfo of the layer's own refusals."""

RETRY_SECONDS = 1
"""When a client that was sent away for lack of room may come again."""

Spell = Callable[[str], str]
"""Turns a proto field path into what the client wrote."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a failure happened, as far as errors show it."""

    path: str = ""
    method: str = ""
    request_id: str = ""
    trace_id: str = ""
    public_url: str = ""


NOWHERE = Scene()


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure, ready to be put into the words of a face."""

    code: int
    status: int
    reason: str
    title: str
    message: str
    layer: bool
    domain: str = ""
    violations: tuple[Violation, ...] = ()
    details: tuple[Message, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    metadata: Metadata = ()


def of_refusal(refusal: RequestRefused) -> Failure:
    """Take in a refusal of the layer itself."""
    meaning = LAYER[refusal.reason]
    return Failure(
        code=meaning.code,
        status=meaning.status,
        reason=refusal.reason,
        title=meaning.title,
        message=refusal.message,
        layer=True,
        domain=LAYER_DOMAIN,
        violations=refusal.violations,
        details=_layer_details(refusal),
        facts=refusal.facts,
    )


def of_rpc(failure: RpcFailure, meanings: Mapping[str, Meaning], spell: Spell = str) -> Failure:
    """Take in a failure of the method, or of whatever admits callers to it."""
    info = _first(failure.details, error_details_pb2.ErrorInfo)
    reason = info.reason if info is not None else ""
    meaning = meanings.get(reason)
    usual = STATUS_OF_CODE.get(failure.code, 500)
    return Failure(
        code=failure.code,
        status=meaning.status if meaning is not None else usual,
        reason=reason,
        title=meaning.title if meaning is not None else phrase(usual),
        message=failure.message,
        layer=False,
        domain=info.domain if info is not None else "",
        violations=_violations(failure.details, spell),
        details=tuple(_spelled(detail, spell) for detail in failure.details),
        facts=dict(info.metadata) if info is not None else {},
        metadata=failure.metadata,
    )


def of_status(status: status_pb2.Status, meanings: Mapping[str, Meaning]) -> Failure:
    """Take in the status of one item of a bulk answer."""
    known = (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest)
    details: list[Message] = []
    for packed in status.details:
        kind = next((each for each in known if packed.Is(each.DESCRIPTOR)), None)
        if kind is None:
            details.append(packed)
            continue
        unpacked: Message = kind()
        packed.Unpack(unpacked)
        details.append(unpacked)
    return of_rpc(RpcFailure(status.code, status.message, tuple(details)), meanings)


def forbidden(message: str) -> Failure:
    """Refuse a client before it is known what it asks for."""
    return of_refusal(RequestRefused("CLIENT_NOT_SERVED", message))


def _first(details: tuple[Message, ...], kind: type[error_details_pb2.ErrorInfo]) -> error_details_pb2.ErrorInfo | None:
    return next((detail for detail in details if isinstance(detail, kind)), None)


def _violations(details: tuple[Message, ...], spell: Spell) -> tuple[Violation, ...]:
    return tuple(
        Violation(spell(each.field), each.description)
        for detail in details
        if isinstance(detail, error_details_pb2.BadRequest)
        for each in detail.field_violations
    )


def _spelled(detail: Message, spell: Spell) -> Message:
    """Spell the fields of a BadRequest as the client did; leave everything else as it is."""
    if not isinstance(detail, error_details_pb2.BadRequest):
        return detail
    copy = error_details_pb2.BadRequest()
    copy.CopyFrom(detail)
    for each in copy.field_violations:
        each.field = spell(each.field)
    spelled: Message = copy
    return spelled


def _layer_details(refusal: RequestRefused) -> tuple[Message, ...]:
    info = error_details_pb2.ErrorInfo(reason=refusal.reason, domain=LAYER_DOMAIN, metadata=refusal.facts)
    if refusal.reason == "OVERLOADED":
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromSeconds(RETRY_SECONDS)
        return info, retry
    if not refusal.violations:
        return (info,)
    violations = [
        error_details_pb2.BadRequest.FieldViolation(field=each.field, description=each.description)
        for each in refusal.violations
    ]
    return info, error_details_pb2.BadRequest(field_violations=violations)


INTERNAL = replace(of_refusal(RequestRefused("INTERNAL", "internal error")), layer=False)
"""What a client learns of a bug."""
