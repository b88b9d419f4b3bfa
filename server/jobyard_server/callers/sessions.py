"""Tokens given to those who came with a password: they live in this process, for a while, and only as digests."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import Final

from jobyard_server.callers.credential import Credential, Kind
from jobyard_server.callers.token_file import digest, new_token
from jobyard_server.domain.principal import Principal

MOST: Final = 10_000
"""Sessions at once; beyond that the oldest one ends."""


class Sessions:
    """The sessions of a server. They end with it: who holds one then logs in again, as when its time is over."""

    def __init__(self, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        """Take how long a session lives."""
        self.seconds = seconds
        self._clock = clock
        # All live equally long, so the first one is always the next to end.
        self._open: OrderedDict[str, tuple[Principal, float]] = OrderedDict()

    def begin(self, principal: Principal) -> str:
        """A token for a caller who has proved who it is."""
        now = self._clock()
        while self._open and (len(self._open) >= MOST or next(iter(self._open.values()))[1] <= now):
            self._open.popitem(last=False)
        token = new_token()
        self._open[digest(token)] = (principal, now + self.seconds)
        return token

    async def verify(self, credential: Credential) -> Principal | None:
        """The caller to whom a token was given."""
        if credential.kind is not Kind.TOKEN:
            return None
        # Found by digest: how long that takes tells nothing about the token.
        found = self._open.get(digest(credential.value))
        return None if found is None or found[1] <= self._clock() else found[0]
