"""Turns what went wrong into a google.rpc.Status with typed details: the one form of every error that leaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import grpc
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from jobyard.jobs.v1 import error_reason_pb2
from jobyard.rest.v1 import annotations_pb2
from jobyard_server.domain.reason import Reason, Refusal, Violation

DOMAIN: Final = "jobyard"
DETAILS_KEY: Final = "grpc-status-details-bin"

# Details travel in a header, for which clients commonly have 8 KiB; the message travels twice.
MOST_MESSAGE: Final = 1000
MOST_DESCRIPTION: Final = 300
MOST_VIOLATIONS_BYTES: Final = 3000
MOST_METADATA_BYTES: Final = 2500

STATUS_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True, slots=True)
class Failure:
    """How a call ended that did not end well, as its caller may know it."""

    code: int
    """A value of google.rpc.Code."""
    reason: str
    message: str
    details: tuple[Message, ...] = ()

    @property
    def code_name(self) -> str:
        """The code's name, for logs and metrics."""
        return str(code_pb2.Code.Name(self.code))

    def trailers(self) -> tuple[tuple[str, bytes], ...]:
        """The details as gRPC carries them behind the answer."""
        status = status_pb2.Status(code=self.code, message=self.message)
        for detail in self.details:
            status.details.add().Pack(detail)
        return ((DETAILS_KEY, status.SerializeToString()),)


def from_refusal(refusal: Refusal, request_id: str) -> Failure:
    """What the caller is told about a refusal."""
    message = _cut(refusal.message, MOST_MESSAGE)
    return Failure(_CODES[refusal.reason], refusal.reason, message, tuple(_details(refusal, request_id)))


def internal(request_id: str) -> Failure:
    """What the caller is told about a mistake of ours: nothing but the name under which the log has the rest."""
    return from_refusal(
        Refusal(Reason.INTERNAL, f"Internal error. The server's log has it under the request id {request_id}."),
        request_id,
    )


def _details(refusal: Refusal, request_id: str) -> Iterator[Message]:
    facts = dict(refusal.metadata)
    if refusal.reason is Reason.INVALID_FIELD and refusal.violations:
        facts.setdefault("field", refusal.violations[0].field)
    # Where fields are named there is no room for more than the beginning of each fact.
    metadata = _metadata(facts, 0 if refusal.violations else MOST_METADATA_BYTES)
    yield error_details_pb2.ErrorInfo(reason=refusal.reason, domain=DOMAIN, metadata=metadata)
    if refusal.violations:
        yield _bad_request(refusal.violations)
    if refusal.retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(int(refusal.retry_after * 1e9))
        yield retry
    yield error_details_pb2.RequestInfo(request_id=request_id)


def _metadata(values: Mapping[str, str], left: int) -> dict[str, str]:
    """Values whole while so many bytes are left for them; of each at least its beginning."""
    found: dict[str, str] = {}
    for key, value in values.items():
        room = left if value.isascii() else left // 4
        found[key] = _cut(value, max(MOST_DESCRIPTION, room))
        left -= len(found[key].encode(errors="replace"))
    return found


def _bad_request(violations: tuple[Violation, ...]) -> error_details_pb2.BadRequest:
    """Name the fields, as many as a header holds."""
    found = error_details_pb2.BadRequest()
    for number, violation in enumerate(violations):
        found.field_violations.add(
            field=_cut(violation.field, MOST_DESCRIPTION), description=_cut(violation.description, MOST_DESCRIPTION)
        )
        if found.ByteSize() > MOST_VIOLATIONS_BYTES and number + 1 < len(violations):
            found.field_violations[-1].description = f"and {len(violations) - number} more fields"
            break
    return found


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _codes() -> dict[Reason, int]:
    """The code of each reason, as its proto declares it."""
    values = error_reason_pb2.ErrorReason.DESCRIPTOR.values_by_name
    return {
        reason: values[f"ERROR_REASON_{reason}"].GetOptions().Extensions[annotations_pb2.reason].code
        for reason in Reason
    }


_CODES: Final = _codes()
