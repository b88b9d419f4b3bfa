"""What jobs of SAS Viya are filtered and sorted by, and where the store keeps it."""

from __future__ import annotations

from typing import Final

from jobyard_server.apis.viya.filtering import fail
from jobyard_server.apis.viya.members import Kind, Member, Table, time_condition
from jobyard_server.apis.viya.states import is_word
from jobyard_server.apis.viya.times import FOR_EVER
from jobyard_server.domain import fields
from jobyard_server.domain.fields import ApiFields
from jobyard_server.domain.filter import All, Comparison, Expression, Not, Op
from jobyard_server.domain.filter import Any as AnyOf

FIELDS: Final = ApiFields(
    attributes={
        "request_id": fields.Kind.TEXT,
        "definition_uri": fields.Kind.TEXT,
        "definition_name": fields.Kind.TEXT,
        "definition_type": fields.Kind.TEXT,
        "expires_after": fields.Kind.TEXT,
        "creator": fields.Kind.TEXT,
        "submitter": fields.Kind.TEXT,
        "heartbeat_interval": fields.Kind.INT,
        "state_details": fields.Kind.TEXT,
        "log_location": fields.Kind.TEXT,
        "modified_by": fields.Kind.TEXT,
        # When the newest change is said to have been made, where the row does not say it well enough.
        "modified_at": fields.Kind.INT,
        # The last heartbeat of a job that has ended.
        "beat_at": fields.Kind.INT,
        # When a client wants the job to be removed.
        "expiration": fields.Kind.INT,
    },
    indexed=("created_at", "display_name", "state_word", "request_id"),
)


def _state(op: Op, values: tuple[str, ...]) -> Expression:
    if op not in (Op.EQ, Op.IN, Op.NE, Op.IS_NULL):
        fail("The member 'state' can only be compared with eq, ne and in.")
    # Without values, as for isNull, none of them holds: every job is in some state.
    one_of = AnyOf(tuple(map(is_word, values)))
    return Not(one_of) if op is Op.NE else one_of


NO_EXPIRATION: Final[Expression] = AnyOf(
    (
        Comparison("expiration", Op.GE, FOR_EVER),
        All(
            (
                Comparison("expiration", Op.IS_NULL, None),
                AnyOf((Comparison("expires_after", Op.IS_NULL, None), Comparison("finished_at", Op.IS_NULL, None))),
            )
        ),
    )
)
"""Nobody said when the job is to be removed; the server's own retention is not shown."""


def _expiration(op: Op, values: tuple[str, ...]) -> Expression:
    if op is Op.IS_NULL:
        return NO_EXPIRATION
    if op is Op.IN:
        return AnyOf(tuple(_expiration(Op.EQ, (value,)) for value in values))
    compared = time_condition(
        lambda op, at: Comparison("expires_at", op, at), "expirationTimeStamp", op, values[0]
    )  # fmt: skip
    return All((Not(NO_EXPIRATION), compared))


_REQUEST: Final = {
    "id": Member("request_id"),
    "name": Member("display_name", empty_is_null=True),
    "jobDefinitionUri": Member("definition_uri"),
    "jobDefinition.name": Member("definition_name"),
    "jobDefinition.type": Member("definition_type"),
    "expiresAfter": Member("expires_after"),
    "createdByApplication": Member("creator"),
}

TABLE: Final = Table(
    members={
        **{f"jobRequest.{name}": member for name, member in _REQUEST.items()},
        "id": Member("external_id"),
        "name": _REQUEST["name"],
        # Shipped scripts write them without the path.
        **{name: _REQUEST[name] for name in ("jobDefinitionUri", "expiresAfter")},
        "stateDetails": Member("state_details"),
        "logLocation": Member("log_location"),
        "heartbeatInterval": Member("heartbeat_interval", Kind.INT),
        "submittedByApplication": Member("submitter"),
        "createdBy": Member("created_by"),
        "modifiedBy": Member("modified_by"),
        "creationTimeStamp": Member("created_at", Kind.TIME),
        "modifiedTimeStamp": Member("updated_at", Kind.TIME),
        "endTimeStamp": Member("finished_at", Kind.TIME),
    },
    special={"state": _state, "expirationTimeStamp": _expiration},
    sorted_by={"state": "state_word", "expirationTimeStamp": "expires_at"},
)
