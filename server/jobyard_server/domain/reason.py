"""Why a request is refused: the closed list of reasons, and the exception that carries one."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Reason(StrEnum):
    """Mirror of ``jobyard.jobs.v1.ErrorReason``; a test keeps the two equal."""

    INVALID_FIELD = "INVALID_FIELD"
    INVALID_FILTER = "INVALID_FILTER"
    INVALID_ORDER = "INVALID_ORDER"
    INVALID_PAGE_TOKEN = "INVALID_PAGE_TOKEN"  # noqa: S105 - a reason, not a secret
    CREDENTIALS_MISSING = "CREDENTIALS_MISSING"
    CREDENTIALS_INVALID = "CREDENTIALS_INVALID"
    PERMISSION_MISSING = "PERMISSION_MISSING"
    JOB_NOT_FOUND = "JOB_NOT_FOUND"
    SUBJOB_NOT_FOUND = "SUBJOB_NOT_FOUND"
    ATTEMPT_NOT_FOUND = "ATTEMPT_NOT_FOUND"
    DEFINITION_NOT_FOUND = "DEFINITION_NOT_FOUND"
    EXECUTOR_NOT_FOUND = "EXECUTOR_NOT_FOUND"
    QUEUE_NOT_FOUND = "QUEUE_NOT_FOUND"
    RECORD_NOT_FOUND = "RECORD_NOT_FOUND"
    DEFINITION_REFERENCE_UNKNOWN = "DEFINITION_REFERENCE_UNKNOWN"
    DEFINITION_DISABLED = "DEFINITION_DISABLED"
    DEFINITION_NOT_ON_DEMAND = "DEFINITION_NOT_ON_DEMAND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    ETAG_MISMATCH = "ETAG_MISMATCH"
    JOB_FINISHED = "JOB_FINISHED"
    JOB_NOT_FINISHED = "JOB_NOT_FINISHED"
    STATE_CONFLICT = "STATE_CONFLICT"
    IN_USE = "IN_USE"
    LEASE_LOST = "LEASE_LOST"
    SESSION_UNKNOWN = "SESSION_UNKNOWN"
    LOG_GAP = "LOG_GAP"
    EVENTS_COMPACTED = "EVENTS_COMPACTED"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    OVERLOADED = "OVERLOADED"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    INTERNAL = "INTERNAL"
    SERVER_STOPPING = "SERVER_STOPPING"
    DELIVERY_NOT_FOUND = "DELIVERY_NOT_FOUND"
    COUNT_MISMATCH = "COUNT_MISMATCH"
    EXECUTOR_REFERENCE_UNKNOWN = "EXECUTOR_REFERENCE_UNKNOWN"
    PRECONDITION_MISSING = "PRECONDITION_MISSING"
    INFO_TYPE_NOT_FOUND = "INFO_TYPE_NOT_FOUND"
    INFO_TYPE_REFERENCE_UNKNOWN = "INFO_TYPE_REFERENCE_UNKNOWN"
    INFO_PRODUCER_NOT_FOUND = "INFO_PRODUCER_NOT_FOUND"
    INFO_SUBSCRIPTION_NOT_FOUND = "INFO_SUBSCRIPTION_NOT_FOUND"
    JOB_DEFINITION_INVALID = "JOB_DEFINITION_INVALID"
    JOB_TYPE_CHANGED = "JOB_TYPE_CHANGED"
    INFO_TYPE_IN_USE = "INFO_TYPE_IN_USE"
    ACCESS_REFUSED = "ACCESS_REFUSED"
    INFO_PRODUCER_INACTIVE = "INFO_PRODUCER_INACTIVE"
    REQUEST_INVALID = "REQUEST_INVALID"
    TARGET_REFERENCE_UNKNOWN = "TARGET_REFERENCE_UNKNOWN"
    DMI_FAILED = "DMI_FAILED"
    DATA_JOBS_UNSUPPORTED = "DATA_JOBS_UNSUPPORTED"
    IDENTITY_UNAVAILABLE = "IDENTITY_UNAVAILABLE"
    TOO_MANY_REQUESTS = "TOO_MANY_REQUESTS"


@dataclass(frozen=True, slots=True)
class Violation:
    """One field that breaks a rule: its path as the proto spells it, and what is wrong in a full phrase."""

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that changes nothing, and why. Returned as a value by set-based writes, raised as :class:`Refused`."""

    reason: Reason
    message: str
    violations: tuple[Violation, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Facts that an API's own error text may name, for example ``{"job": "42"}``."""
    retry_after: float | None = None
    """Seconds after which the same request may be sent again, where waiting helps."""


class Refused(Exception):  # noqa: N818 - the domain's word; not every refusal is an error of ours
    """Raised by use cases to refuse a request."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def refuse(reason: Reason, message: str, *violations: Violation, **metadata: str) -> Refused:
    """The exception in one line; keyword arguments are its metadata."""
    return Refused(Refusal(reason, message, violations, metadata))


def stopping() -> Refused:
    """Refuse what another server, or this one when it is back, would do."""
    return Refused(Refusal(Reason.SERVER_STOPPING, "The server is stopping.", retry_after=1.0))


def invalid(field_path: str, description: str, **metadata: str) -> Refused:
    """Refuse a request because of one field."""
    return refuse(Reason.INVALID_FIELD, f"{field_path}: {description}", Violation(field_path, description), **metadata)
