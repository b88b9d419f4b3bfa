"""What an error of the server says: its code, its reason, its fields, and whether waiting helps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

DETAILS_KEY: Final = "grpc-status-details-bin"

_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_PASSING: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)
# Too large stays too large.
_LASTING: Final = frozenset({"PAYLOAD_TOO_LARGE"})


@dataclass(frozen=True, slots=True)
class Failure:
    """An error, taken apart."""

    code: grpc.StatusCode
    message: str
    reason: str = ""
    """A value of jobyard.jobs.v1.ErrorReason; empty when no server of ours answered."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[tuple[str, str], ...] = ()
    """The fields that are wrong, and what is wrong with each."""
    request_id: str = ""
    retry_after: float | None = None

    @property
    def passing(self) -> bool:
        """Whether the same call may succeed later."""
        return self.code in _PASSING and self.reason not in _LASTING

    @property
    def broken(self) -> bool:
        """Whether the server made a mistake, which it may make again each time."""
        return self.code in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}

    @property
    def unreachable(self) -> bool:
        """Whether no server of ours answered."""
        return self.code is grpc.StatusCode.UNAVAILABLE and not self.reason


def of_error(error: grpc.aio.AioRpcError) -> Failure:
    """What a call that failed was told."""
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                return of_status(status_pb2.Status.FromString(value))
            except DecodeError:
                break
    return Failure(error.code(), error.details() or error.code().name)


def of_status(status: status_pb2.Status) -> Failure:
    """What a status says, for example that of one item of a batch."""
    reason, metadata, request_id, retry_after = "", {}, "", None
    fields: list[tuple[str, str]] = []
    for packed in status.details:
        info, bad, retry, request = (
            error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(),
            error_details_pb2.RetryInfo(), error_details_pb2.RequestInfo(),
        )  # fmt: skip
        if packed.Unpack(info):
            reason, metadata = info.reason, dict(info.metadata)
        elif packed.Unpack(bad):
            fields += [(violation.field, violation.description) for violation in bad.field_violations]
        elif packed.Unpack(retry):
            retry_after = retry.retry_delay.ToTimedelta().total_seconds()
        elif packed.Unpack(request):
            request_id = request.request_id
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    return Failure(code, status.message, reason, metadata, tuple(fields), request_id, retry_after)
