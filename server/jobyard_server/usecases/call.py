"""The call a use case serves: who asks, through which API, and what that lets them see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from jobyard_server.domain.hot import hot

if TYPE_CHECKING:
    from jobyard_server.domain.principal import Principal

ALL_TENANTS: Final = "tenants.all"
"""The permission to see and change what belongs to any tenant."""


@hot
@dataclass(frozen=True, slots=True)
class Call:
    """One call. The edge has authenticated the caller and checked the permission of the method."""

    principal: Principal
    api: str
    """The API spoken: new things belong to it."""
    every_api: bool = False
    """Whether the API shows the things of all APIs (``jobs.v1`` alone does)."""
    request_id: str = ""

    @property
    def user(self) -> str:
        """Who is recorded as the actor."""
        return self.principal.user

    @property
    def tenant(self) -> str:
        """Whose the new things are."""
        return self.principal.tenant

    @property
    def seen_api(self) -> str | None:
        """Whose things are seen; ``None``: those of every API."""
        return None if self.every_api else self.api

    @property
    def seen_tenant(self) -> str | None:
        """Which tenant's things are seen; ``None``: those of every tenant."""
        return None if self.every_api and self.principal.may(ALL_TENANTS) else self.principal.tenant
