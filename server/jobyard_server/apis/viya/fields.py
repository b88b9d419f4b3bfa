"""What jobs of SAS Viya are filtered and sorted by, and where the store keeps it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from jobyard_server.apis.viya.filtering import fail
from jobyard_server.apis.viya.members import (
    NEVER,
    TEXT_ONLY,
    Kind,
    Member,
    Special,
    Table,
    condition,
    constant,
    instant_condition,
    integer,
    only_null,
    time_condition,
)
from jobyard_server.apis.viya.states import WORDS
from jobyard_server.apis.viya.times import FOR_EVER, MILLI
from jobyard_server.domain import fields
from jobyard_server.domain.fields import ELAPSED_MILLIS, FIRST_RESULT, ApiFields
from jobyard_server.domain.filter import All, Comparison, Expression, Not, Op
from jobyard_server.domain.filter import Any as AnyOf
from jobyard_server.domain.job import Micros
from jobyard_server.domain.state import State

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
        # What is searched in, as JSON.
        "description": fields.Kind.TEXT,
        "arguments": fields.Kind.TEXT,
        "properties": fields.Kind.TEXT,
        "results": fields.Kind.TEXT,
        "error": fields.Kind.TEXT,
        "error_message": fields.Kind.TEXT,
        "error_code": fields.Kind.INT,
    },
    indexed=("created_at", "display_name", "state_word", "request_id"),
    finders=frozenset({"request_id"}),
)


_FAILED: Final = Comparison("state_word", Op.EQ, WORDS[State.FAILED])


def _results(op: Op, values: tuple[str, ...]) -> Expression:
    """In what the provider said over REST, else in what the worker gave."""
    if op is Op.IS_NULL:
        return NEVER
    if op is not Op.HAS:
        fail("The member 'results' can only be searched with contains.")
    said = Comparison("results", Op.IS_NULL, None)
    return AnyOf(
        (Comparison("results", op, values[0]), All((said, Comparison(FIRST_RESULT, op, values[0]))))
    )  # fmt: skip


def _error(op: Op, values: tuple[str, ...]) -> Expression:
    """In what the provider said, else in the message of a job that failed."""
    if op is Op.IS_NULL:
        return All((Comparison("error", Op.IS_NULL, None), Not(_FAILED)))
    if op is not Op.HAS:
        fail("The member 'error' can only be searched with contains; its members are compared.")
    return AnyOf((Comparison("error", op, values[0]), _told("message", op, values[0])))


def _error_message(op: Op, values: tuple[str, ...]) -> Expression:
    if op is Op.IS_NULL:
        return _error(op, values)
    if op is Op.IN:
        return AnyOf(tuple(_error_message(Op.EQ, (value,)) for value in values))
    if op is Op.NE:
        return Not(_error_message(Op.EQ, values))
    return AnyOf((Comparison("error_message", op, values[0]), _told("message", op, values[0])))


def _told(column: str, op: Op, value: str) -> Expression:
    """What is known of the end of a job whose provider said nothing."""
    return All((_FAILED, Comparison("error", Op.IS_NULL, None), Comparison(column, op, value)))


def _as_shown(compare: Special) -> Special:
    """Compare the error of a job that failed; to all others it is absent, whatever their provider said."""

    def shown(op: Op, values: tuple[str, ...]) -> Expression:
        found = compare(op, values)
        absent = op in {Op.IS_NULL, Op.NE}
        return AnyOf((Not(_FAILED), found)) if absent else All((_FAILED, found))

    return shown


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
    "description": Member("description"),
    "arguments": Member("arguments", Kind.SEARCHED, sortable=False),
    "properties": Member("properties", Kind.SEARCHED, sortable=False),
}

TABLE: Final = Table(
    members={
        **{f"jobRequest.{name}": member for name, member in _REQUEST.items()},
        "id": Member("external_id"),
        "state": Member("state_word"),
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
    special={
        "expirationTimeStamp": _expiration,
        "heartbeatTimeStamp": only_null("heartbeatTimeStamp", Not(Comparison("heartbeat_interval", Op.GT, 0))),
        "links": only_null("links", NEVER),
        "version": constant("version", 4),
        "jobRequest.version": constant("jobRequest.version", 3),
        "jobRequest.jobDefinition.version": constant("jobRequest.jobDefinition.version", 2),
        "results": _results,
        "error": _as_shown(_error),
        "error.message": _as_shown(_error_message),
        "error.errorCode": _as_shown(partial(condition, "error.errorCode", Member("error_code", Kind.INT))),
    },
    sorted_by={"expirationTimeStamp": "expires_at", "error.errorCode": "error_code"},
)


def table(now: Micros) -> Table:
    """What jobs are filtered and sorted by at an instant: one that goes on takes longer and longer."""
    return replace(TABLE, special={**TABLE.special, "elapsedTime": partial(_elapsed, now)})


_FLIPPED: Final = {Op.LT: Op.GT, Op.LE: Op.GE, Op.GT: Op.LT, Op.GE: Op.LE, Op.EQ: Op.EQ}


def _elapsed(now: Micros, op: Op, values: tuple[str, ...]) -> Expression:
    """From the submit to the end; until now, where there is none yet."""
    name = "elapsedTime"
    if op is Op.IS_NULL:
        return NEVER
    if op in TEXT_ONLY:
        fail(f"The member {name!r} is no text.")
    if op is Op.IN:
        return AnyOf(tuple(_elapsed(now, Op.EQ, (value,)) for value in values))
    if op is Op.NE:
        return Not(_elapsed(now, Op.EQ, values))
    millis = integer(name, values[0])
    goes_on = Comparison("finished_at", Op.IS_NULL, None)
    since = instant_condition(
        lambda op, at: Comparison("created_at", op, at), _FLIPPED[op], (now // MILLI - millis) * MILLI
    )  # fmt: skip
    return AnyOf((All((goes_on, since)), Comparison(ELAPSED_MILLIS, op, millis)))
