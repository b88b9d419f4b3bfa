"""Knows callers that send their name and password with every request, without paying for a slow hash each time."""

from __future__ import annotations

import asyncio
import binascii
import hashlib
import secrets
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import Final

from jobyard_server.callers.credential import Credential, Kind
from jobyard_server.callers.passwords import Passwords
from jobyard_server.domain.principal import Principal

SECONDS: Final = 300.0
"""How long a pair that was right is taken without another look."""

MOST: Final = 1000
"""Pairs that are remembered; beyond that the oldest is forgotten, and costs another look."""

LONGEST: Final = 4096


class BasicVerifier:
    """Answers for names and passwords."""

    def __init__(self, passwords: Passwords, clock: Callable[[], float] = monotonic) -> None:
        """Take who knows the users."""
        self._passwords = passwords
        self._clock = clock
        # With a key of this process the digests say nothing about passwords to whoever reads them in a core dump.
        self._key = secrets.token_bytes(32)
        # All are remembered equally long, so the first one is always the next to be forgotten.
        self._right: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()
        self._checking: dict[bytes, asyncio.Task[Principal]] = {}

    async def verify(self, credential: Credential) -> Principal | None:
        """The user whose name and password these are; raises Refused where the password is wrong."""
        if credential.kind is not Kind.BASIC or (pair := _pair(credential.value)) is None:
            return None
        # Found by digest: how long that takes tells nothing about the password.
        digest = hashlib.blake2b("\0".join(pair).encode(), key=self._key, digest_size=32).digest()
        if (remembered := self._right.get(digest)) is not None and remembered[1] > self._clock():
            return remembered[0]
        return await asyncio.shield(self._check(digest, pair))

    def _check(self, digest: bytes, pair: tuple[str, str]) -> asyncio.Task[Principal]:
        """Look once for all requests that show the same; a client's first ones come together."""
        checking = self._checking.get(digest)
        if checking is None:
            checking = asyncio.create_task(self._look(digest, pair))
            self._checking[digest] = checking
            checking.add_done_callback(lambda done: self._checked(digest, done))
        return checking

    async def _look(self, digest: bytes, pair: tuple[str, str]) -> Principal:
        principal = await self._passwords.check(*pair)
        now = self._clock()
        self._right.pop(digest, None)
        while self._right and (len(self._right) >= MOST or next(iter(self._right.values()))[1] <= now):
            self._right.popitem(last=False)
        self._right[digest] = (principal, now + SECONDS)
        return principal

    def _checked(self, digest: bytes, done: asyncio.Task[Principal]) -> None:
        del self._checking[digest]
        if not done.cancelled():
            # Looked at here, for everybody who asked may have gone.
            done.exception()


def _pair(value: str) -> tuple[str, str] | None:
    """The name and the password; ``None`` for what is no such pair."""
    try:
        name, colon, password = b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return (name, password) if colon and name and len(value) <= LONGEST else None
