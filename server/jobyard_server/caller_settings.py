"""Settings about callers that have several parts: who holds a certificate, and whose word about callers is taken."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class CallerSettings(BaseModel):
    """Who a caller is and what it may do."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    user: str = Field(min_length=1, max_length=256)
    tenant: str = Field("", max_length=128)
    """Empty: the default tenant of the server."""
    roles: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
    """Beside those of its roles."""
    queues: frozenset[str] = frozenset()
    """The queues it may work for; empty: any."""
