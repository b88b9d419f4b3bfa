"""The memory that the requests of one gRPC call take: within what its method allows, and what all calls share."""

from __future__ import annotations

from typing import Final

from jobyard_server.domain.reason import Reason, Refusal, Refused, refuse
from jobyard_server.transcoding.budget import Budget

SMALL: Final = 64 * 1024
"""Requests up to so many bytes are not counted: there are never more of them than calls."""


class Room:
    """What one call holds."""

    __slots__ = ("_budget", "_held", "_kept", "_most", "_total")

    def __init__(self, budget: Budget, most: int, *, kept: bool) -> None:
        """Take at most ``most`` bytes: in each message, or where all of them are ``kept`` in the whole stream."""
        self._budget = budget
        # A stream of pieces is as large as what it brings, and what stands around each piece.
        self._most = most + most // 64 if kept else most
        self._kept = kept
        self._total = 0
        self._held = 0

    def take(self, size: int) -> None:
        """Make room for the next message; raises Refused."""
        self._total = self._total + size if self._kept else size
        if self._total > self._most:
            message = f"The request is larger than {self._most} bytes."
            raise refuse(Reason.PAYLOAD_TOO_LARGE, message, limit=str(self._most))
        if not self._kept:
            self.close()
        if size <= SMALL and not self._kept:
            return
        if not self._budget.take(size):
            message = "Too many requests are in memory; send the request again later."
            raise Refused(Refusal(Reason.OVERLOADED, message, retry_after=1.0))
        self._held += size

    def close(self) -> None:
        """Give back what is held."""
        if self._held:
            self._budget.give(self._held)
            self._held = 0
