"""From a list request to conditions, order and page of the domain."""

from __future__ import annotations

import re
from typing import Final

from jobyard.dataone.v1 import job_pb2, job_service_pb2
from jobyard_server.domain.fields import instant
from jobyard_server.domain.filter import All, Comparison, Expression, Op
from jobyard_server.domain.reason import Reason, Refused, Violation, invalid, refuse
from jobyard_server.usecases.list_jobs import NEWEST_FIRST, JobList
from jobyard_server.usecases.ports import Order

FILTERS: Final = {
    "id": "number",
    "queue": "queue",
    "contract": "contract",
    "workflow_template_id": "workflow_template_id",
    "workflow_template_name": "workflow_template_name",
    "workflow_template_revision": "workflow_template_revision",
    "ext_ipid": "ext_ipid",
    "submitted_by": "created_by",
    "dfiid": "dfiid",
    "lcid": "lcid",
    "actor": "actor",
    "contract_action": "contract_action",
    "contract_type": "contract_type",
    "contract_action_trigger": "contract_action_trigger",
}
"""Fields of the request that compare exactly, and where the store keeps what they compare with."""

BOUNDS: Final = {
    "created_at_from": ("created_at", Op.GE),
    "created_at_to": ("created_at", Op.LE),
    "updated_at_from": ("updated_at", Op.GE),
    "updated_at_to": ("updated_at", Op.LE),
}

SORTS: Final = {
    "id": "number",
    "status": "state_word",
    "queue": "queue",
    "contract": "contract",
    "workflowTemplateId": "workflow_template_id",
    "workflowTemplateName": "workflow_template_name",
    "workflowTemplateRevision": "workflow_template_revision",
    "submittedBy": "created_by",
    "createdAt": "created_at",
    "updatedAt": "updated_at",
}
"""Fields a client may sort by, and where the store keeps them."""

_TIME: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:([Zz])|([+ -])((?:[01][0-9]|2[0-3]):[0-5][0-9]))\Z"
)
_STORED_DIGITS: Final = 6


def job_list(request: job_service_pb2.ListJobsRequest) -> JobList:
    """What a caller wants to see; ``Refused`` names the parameter that cannot be read."""
    return JobList(
        where=conditions(request),
        order=order(request.sort) if request.sort else NEWEST_FIRST,
        page_size=request.max_items,
        page_token=request.page_token,
    )


def conditions(request: job_service_pb2.ListJobsRequest) -> Expression | None:
    """All filters of a request, in an order of ours: the page token is bound to them."""
    parts = [
        Comparison(column, Op.EQ, getattr(request, field))
        for field, column in FILTERS.items()
        if request.HasField(field)  # type: ignore[arg-type] # every filter has presence
    ]
    if request.status:
        word = job_pb2.JobStatus.Name(request.status).removeprefix("JOB_STATUS_")
        parts.append(Comparison("state_word", Op.EQ, word))
    for field, (column, op) in BOUNDS.items():
        if text := getattr(request, field):
            parts.append(Comparison(column, op, bound(field, text, op)))
    return All(tuple(parts)) if parts else None


def bound(field: str, text: str, op: Op) -> int:
    """The instant of a time bound, in the precision that times are stored in.

    A ``+`` that was not encoded arrives as a space and is read as what it was.
    """
    match = _TIME.match(text)
    if match is None:
        raise invalid(field, f"is not a date and time with an offset, such as 2024-03-26T13:30:30+01:00: {text!r}")
    clock, fraction, zulu, sign, offset = match.groups()
    fraction = (fraction or "").ljust(_STORED_DIGITS, "0")
    zone = zulu or f"{'-' if sign == '-' else '+'}{offset}"
    try:
        micros = instant(f"{clock}.{fraction[:_STORED_DIGITS]}{zone}")
    except ValueError:
        raise invalid(field, f"is no time that exists: {text!r}") from None
    # Nothing is stored between two microseconds: a lower bound there begins at the next one.
    return micros + 1 if op is Op.GE and fraction[_STORED_DIGITS:].strip("0") else micros


def order(text: str) -> tuple[Order, ...]:
    """Read ``+field,-field``; a sign may be missing, and a ``+`` that was not encoded arrives as a space."""
    keys: list[Order] = []
    for part in text.split(","):
        descending = part.startswith("-")
        name = part[1:] if part[:1] in {"+", "-", " "} else part
        column = SORTS.get(name)
        if column is None:
            raise _unsorted(f"{name!r} is not a field to sort by; there are {', '.join(SORTS)}")
        if any(key.field == column for key in keys):
            raise _unsorted(f"{name!r} is named twice")
        keys.append(Order(column, descending=descending))
    return tuple(keys)


def _unsorted(problem: str) -> Refused:
    return refuse(Reason.INVALID_ORDER, f"sort: {problem}", Violation("sort", problem))
