"""What job definitions, job requests and providers are filtered and sorted by."""

from __future__ import annotations

from typing import Final

from jobyard_server.apis.viya.members import NEVER, Kind, Member, Table, constant, only_null, time_condition
from jobyard_server.domain import fields
from jobyard_server.domain.filter import All, Comparison, Expression, Not, Op
from jobyard_server.domain.filter import Any as AnyOf

ATTRIBUTES: Final = {
    **dict.fromkeys(
        (
            *(
                "name",
                "description",
                "type",
                "modified_by",
                "uri",
                "definition_name",
                "definition_type",
                "expires_after",
            ),
            *("creator", "code", "parameters", "properties", "arguments"),
        ),
        fields.Kind.TEXT,
    ),
    # When the newest change is said to have been made, where the row does not say it well enough.
    "modified_at": fields.Kind.INT,
}
"""What is kept of job definitions and requests beside columns."""


def _modified_by(op: Op, values: tuple[str, ...]) -> Expression:
    """Whoever made it, until somebody changed it."""
    if op is Op.IS_NULL:
        return NEVER
    if op is Op.IN:
        return AnyOf(tuple(_modified_by(Op.EQ, (value,)) for value in values))
    if op is Op.NE:
        return Not(_modified_by(Op.EQ, values))
    unchanged = Comparison("modified_by", Op.IS_NULL, None)
    return AnyOf(
        (Comparison("modified_by", op, values[0]), All((unchanged, Comparison("created_by", op, values[0]))))
    )  # fmt: skip


def _modified_at(op: Op, values: tuple[str, ...]) -> Expression:
    """What is said, else what the row says."""
    if op is Op.IS_NULL:
        return NEVER
    if op is Op.IN:
        return AnyOf(tuple(_modified_at(Op.EQ, (value,)) for value in values))
    unsaid = Comparison("modified_at", Op.IS_NULL, None)

    def in_column(column: str) -> Expression:
        return time_condition(lambda op, at: Comparison(column, op, at), "modifiedTimeStamp", op, values[0])

    return AnyOf((All((Not(unsaid), in_column("modified_at"))), All((unsaid, in_column("updated_at")))))


_BOTH: Final = {
    "id": Member("id"),
    # An operator may display another one.
    "name": Member("name"),
    "description": Member("description"),
    "createdBy": Member("created_by"),
    "creationTimeStamp": Member("created_at", Kind.TIME),
    "properties": Member("properties", Kind.SEARCHED),
}

_SPECIAL: Final = {
    "modifiedBy": _modified_by,
    "modifiedTimeStamp": _modified_at,
    "links": only_null("links", NEVER),
}
_SORTED_BY: Final = {"modifiedBy": "modified_by", "modifiedTimeStamp": "updated_at"}

DEFINITIONS: Final = Table(
    {
        **_BOTH,
        "type": Member("type"),
        "code": Member("code", Kind.SEARCHED, sortable=False),
        "parameters": Member("parameters", Kind.SEARCHED, sortable=False),
    },
    special={**_SPECIAL, "version": constant("version", 2)},
    sorted_by=_SORTED_BY,
)
REQUESTS: Final = Table(
    {
        **_BOTH,
        "jobDefinitionUri": Member("uri"),
        "jobDefinition.name": Member("definition_name", sortable=False),
        "jobDefinition.type": Member("definition_type", sortable=False),
        "expiresAfter": Member("expires_after"),
        "createdByApplication": Member("creator"),
        "arguments": Member("arguments", Kind.SEARCHED),
    },
    special={**_SPECIAL, "version": constant("version", 3)},
    sorted_by=_SORTED_BY,
)
PROVIDERS: Final = Table({"id": Member("id")})
