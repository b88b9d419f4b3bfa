"""The buckets an operator lets this server use: S3 and what speaks like it, or folders of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, S3Store

from jobyard_server.domain.delivery import Answer, Problem
from jobyard_server.domain.reason import Reason, Refusal, Refused
from jobyard_server.usecases.ports.results import StoredObject

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

    from jobyard_server.domain.delivery import ObjectCall
    from jobyard_server.result_settings import ObjectSettings

JSON: Final = "application/json"
PART: Final = 5 * 1024 * 1024
"""Bytes of a part of an upload: S3 takes no smaller ones."""
PIECE: Final = 256 * 1024
NO_RETRIES: Final[RetryConfig] = {"max_retries": 1, "retry_timeout": timedelta(seconds=10)}
"""Deliveries are tried again by whoever makes them, and reads by whoever asked."""


class Objects:
    """The buckets of one object store."""

    def __init__(self, settings: ObjectSettings) -> None:
        self._settings = settings
        self._stores: dict[str, ObjectStore] = {}

    def serves(self, bucket: str) -> bool:
        """Whether a bucket is one of those that were named."""
        return bucket in self._settings.buckets

    async def put(self, call: ObjectCall, seconds: float) -> Answer:
        """Put an object; says how it went and never fails."""
        try:
            async with asyncio.timeout(seconds):
                await obstore.put_async(
                    self._store(call.bucket),
                    call.key,
                    call.pieces(),
                    # A file has no type.
                    attributes=None if self._settings.url.startswith("file:") else {"Content-Type": JSON},
                    chunk_size=PART,
                )
        except TimeoutError:
            return Answer(problem=Problem.TIMED_OUT, message=f"not uploaded within {seconds:g} seconds")
        except (BaseError, OSError) as problem:
            return Answer(problem=Problem.BROKEN, message=f"the object store failed: {type(problem).__name__}")
        return Answer(status=200)

    async def list(self, bucket: str, prefix: str, limit: int) -> Sequence[StoredObject]:
        """Objects whose key begins so."""
        found: list[StoredObject] = []
        try:
            async for page in obstore.list(self._store(bucket), prefix, chunk_size=limit):
                found += [StoredObject(meta["path"], meta["size"]) for meta in page]
                if len(found) >= limit:
                    break
        except (BaseError, OSError) as problem:
            raise _away(problem) from problem
        return found[:limit]

    async def read(self, bucket: str, key: str) -> AsyncIterator[bytes] | None:
        """The bytes of an object."""
        try:
            found = await obstore.get_async(self._store(bucket), key)
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as problem:
            raise _away(problem) from problem
        return _bytes(found)

    def _store(self, bucket: str) -> ObjectStore:
        if bucket not in self._stores:
            self._stores[bucket] = self._open(bucket)
        return self._stores[bucket]

    def _open(self, bucket: str) -> ObjectStore:
        settings = self._settings
        kind, _, place = settings.url.partition("://")
        if kind == "memory":
            return MemoryStore()
        if kind == "file":
            return LocalStore(Path(place) / bucket, mkdir=True)
        options: ClientConfig = {"allow_http": settings.endpoint.startswith("http://")}
        given = {
            "endpoint": settings.endpoint,
            "region": settings.region,
            "access_key_id": settings.access_key_id,
            "secret_access_key": settings.secret_access_key.get_secret_value() if settings.secret_access_key else "",
        }
        known = {name: value for name, value in given.items() if value}
        return S3Store(bucket, client_options=options, retry_config=NO_RETRIES, **known)  # type: ignore[arg-type] # all named


async def _bytes(found: obstore.GetResult) -> AsyncIterator[bytes]:
    try:
        async for piece in found.stream(min_chunk_size=PIECE):
            yield bytes(piece)
    except (BaseError, OSError) as problem:
        raise _away(problem) from problem


def _away(problem: Exception) -> Refused:
    """The words are ours: those of libraries may hold addresses and keys."""
    message = f"The object store failed: {type(problem).__name__}."
    return Refused(Refusal(Reason.STORE_UNAVAILABLE, message, retry_after=5.0))
