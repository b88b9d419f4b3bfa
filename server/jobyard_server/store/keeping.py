"""How long jobs are kept after their end where they say nothing themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jobyard_server.domain.job import LATEST

if TYPE_CHECKING:
    from jobyard_server.domain.job import Micros


@dataclass(frozen=True, slots=True)
class Keep:
    """The policy of each API, and the one of all others."""

    usual: Micros | None = None
    """``None``: for ever."""
    by_api: Mapping[str, Micros] = field(default_factory=dict)

    def until(self, api: str, ended_at: Micros, own: Micros | None) -> Micros | None:
        """When a job is deleted; ``own`` is how long it wants to be kept."""
        keep = self.by_api.get(api, self.usual) if own is None else own
        return None if keep is None else min(ended_at + keep, LATEST)
