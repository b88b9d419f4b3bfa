"""The bytes of requests that may be in memory at once: claimed as they come, and counted for whoever watches."""

from __future__ import annotations


class Budget:
    """What all requests being received and served may hold together."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.used = 0
        """Bytes claimed now."""
        self.peak = 0
        """Most bytes that were ever claimed at once."""
        self.refusals = 0
        """Claims that were refused."""

    def take(self, size: int) -> bool:
        """Claim bytes; whether there were so many left."""
        if self.used + size > self.most:
            self.refusals += 1
            return False
        self.used += size
        self.peak = max(self.peak, self.used)
        return True

    def give(self, size: int) -> None:
        """Return bytes claimed before."""
        self.used -= size
