"""The public keys of a token issuer: fetched when wanted, kept, fetched again when they age or a new one is named."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

import aiohttp
import orjson
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet

COOL_SECONDS: Final = 10.0
"""The least time between two fetches, so that tokens with invented key names make no traffic."""

STALE_SECONDS: Final = 86400.0
"""How long keys are good for while their issuer does not answer."""

_BYTES: Final = 256 * 1024
_PATIENCE: Final = aiohttp.ClientTimeout(total=5)

_log = structlog.get_logger("jobyard.callers")


class KeysAwayError(Exception):
    """There are no keys to check a token with, for their issuer does not answer."""


class IssuerKeys:
    """The keys at one address."""

    def __init__(
        self,
        url: str,
        keep_seconds: float,
        fetch: Callable[[str], Awaitable[bytes]] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Take the address of a JSON Web Key Set, and how long its keys are good for without another look."""
        self._url = url
        self._keep = keep_seconds
        self._fetch = fetch or fetch_bytes
        self._clock = clock
        self._keys: list[Key] | None = None
        self._fetched = self._tried = float("-inf")
        self._lock = asyncio.Lock()

    async def find(self, name: str | None) -> Key | None:
        """The key of a name; without a name the only one there is. Raises KeysAwayError."""
        if self._wanting(name):
            async with self._lock:
                # Whoever held the lock may have fetched what is wanted.
                if self._wanting(name):
                    await self._refresh()
        if self._keys is None:
            raise KeysAwayError
        return self._choose(name)

    def _wanting(self, name: str | None) -> bool:
        now = self._clock()
        if now - self._tried < COOL_SECONDS:
            return False
        return now - self._fetched >= self._keep or self._choose(name) is None

    def _choose(self, name: str | None) -> Key | None:
        keys = self._keys or []
        if name is None:
            return keys[0] if len(keys) == 1 else None
        return next((key for key in keys if key.kid == name), None)

    async def _refresh(self) -> None:
        self._tried = self._clock()
        try:
            self._keys = KeySet.import_key_set(orjson.loads(await self._fetch(self._url))).keys
            self._fetched = self._tried
        except (aiohttp.ClientError, TimeoutError, OSError, JoseError, ValueError, KeyError, TypeError) as problem:
            _log.error("keys of the issuer not fetched", url=self._url, problem=str(problem) or type(problem).__name__)
            if self._tried - self._fetched >= STALE_SECONDS:
                self._keys = None


async def fetch_bytes(url: str) -> bytes:
    """What is at an address that the operator gave; nothing that it points to instead."""
    async with (
        aiohttp.ClientSession(timeout=_PATIENCE) as session,
        session.get(url, allow_redirects=False, raise_for_status=True) as answer,
    ):
        if answer.status != 200:
            raise aiohttp.ClientError(f"answered {answer.status}")
        found = bytearray()
        async for piece in answer.content.iter_chunked(65536):
            found += piece
            if len(found) > _BYTES:
                raise aiohttp.ClientError(f"sent more than {_BYTES} bytes")
        return bytes(found)
