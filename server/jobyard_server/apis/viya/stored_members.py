"""What job definitions, job requests and providers are filtered and sorted by."""

from __future__ import annotations

from typing import Final

from jobyard_server.apis.viya.members import Kind, Member, Table

_BOTH: Final = {
    "id": Member("id"),
    "name": Member("name"),
    "description": Member("description"),
    "createdBy": Member("created_by"),
    "modifiedBy": Member("modified_by"),
    "creationTimeStamp": Member("created_at", Kind.TIME),
    "modifiedTimeStamp": Member("modified_at", Kind.TIME),
    "properties": Member("properties", Kind.SEARCHED),
}

DEFINITIONS: Final = Table(
    {
        **_BOTH,
        "type": Member("type"),
        "code": Member("code", Kind.SEARCHED),
        "parameters": Member("parameters", Kind.SEARCHED),
    }
)
REQUESTS: Final = Table(
    {
        **_BOTH,
        "jobDefinitionUri": Member("jobDefinitionUri"),
        "jobDefinition.name": Member("definition_name", sortable=False),
        "jobDefinition.type": Member("definition_type", sortable=False),
        "expiresAfter": Member("expiresAfter"),
        "createdByApplication": Member("createdByApplication"),
        "arguments": Member("arguments", Kind.SEARCHED),
    }
)
PROVIDERS: Final = Table({"id": Member("id")})
