"""Preconditions of updates: which state of a thing the caller has seen."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TypeAlias

from jobyard.viya.v1 import definition_calls_pb2, job_calls_pb2, request_calls_pb2
from jobyard_server.apis.viya.times import SECOND, tag_of
from jobyard_server.domain.job import Micros
from jobyard_server.domain.reason import Reason, Refused, Violation, refuse

Conditional: TypeAlias = (
    job_calls_pb2.UpdateJobRequest
    | request_calls_pb2.UpdateJobRequestRequest
    | definition_calls_pb2.UpdateJobDefinitionRequest
)
"""A request that says which state its caller has seen."""


def check(request: Conditional, modified_at: Micros) -> None:
    """Refuse a request whose caller has not seen the state that was made at ``modified_at``, or does not say."""
    if request.if_match:
        current = tag_of(modified_at)
        if not {"*", current} & set(request.if_match):
            raise _stale("If-Match", ",".join(request.if_match), "entity tag", current)
    elif request.HasField("if_unmodified_since"):
        if request.if_unmodified_since.seconds < modified_at // SECOND:
            given, current = _date(request.if_unmodified_since.seconds), _date(modified_at // SECOND)
            raise _stale("If-Unmodified-Since", given, "last modification", current)
    else:
        message = "One of the request header fields If-Match and If-Unmodified-Since is required."
        raise refuse(Reason.PRECONDITION_MISSING, message)


def _date(seconds: int) -> str:
    return format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True)


def _stale(header: str, given: str, part: str, current: str) -> Refused:
    return refuse(
        Reason.ETAG_MISMATCH,
        f"The resource has changed: {header} is {given}, and its {part} is {current}.",
        Violation(header, "is not the current one"),
        header=header,
        given=given,
        part=part,
        current=current,
    )
