"""Who is calling: one principal behind every credential of every API."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller."""

    user: str
    tenant: str
    roles: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
    """What the roles and grants allow, resolved; ``*`` allows everything."""
    queues: frozenset[str] | None = None
    """Queues a worker may serve; ``None``: any."""

    def may(self, permission: str) -> bool:
        """Whether the caller holds ``permission``."""
        return permission in self.permissions or "*" in self.permissions
