"""Waits between attempts to reach a server: growing, and drawn at random so that clients do not come back together."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from jobyard_server.client.failure import Failure


@dataclass(slots=True)
class Backoff:
    """The waits of one series of attempts."""

    first: float = 0.1
    most: float = 5.0
    _next: float = field(default=0.0, init=False)

    def after(self, failure: Failure | None = None) -> float:
        """Seconds to wait before the next attempt; what the server asks for is the least."""
        wait = self._next or self.first
        self._next = min(wait * 2, self.most)
        asked = failure.retry_after if failure is not None and failure.retry_after else 0.0
        return max(asked, wait * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret

    def reset(self) -> None:
        """The server answered."""
        self._next = 0.0
