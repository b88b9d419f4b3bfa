"""Payloads and results too large for a row: kept in pieces as they come, read in pieces as they are wanted."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from jobyard_server.domain.reason import Reason, Violation, invalid, refuse
from jobyard_server.domain.stored_json import Stored, result_limit, result_of, stored
from jobyard_server.usecases.finding import find_job, find_subjob

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from jobyard_server.domain.job import Subjob
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import HeldSubjob, Reader, Store, Tx

PIECE: Final = 256 * 1024
AT_ONCE: Final = 4
"""Pieces in one transaction: longer ones would hold up everybody else's."""


class Keeping:
    """Bytes on their way into the store. They count for nothing before somebody finishes the blob."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name
        self._pending = bytearray()
        self._written = 0
        self._size = 0
        self._digest = hashlib.sha256()

    @property
    def digest(self) -> str:
        """SHA-256 of what was added."""
        return self._digest.hexdigest()

    async def add(self, data: bytes | memoryview) -> None:
        """Take more bytes; what fills a transaction is written."""
        self._size += len(data)
        self._digest.update(data)
        self._pending += data
        while len(self._pending) >= PIECE * AT_ONCE:
            await self._write(PIECE * AT_ONCE)

    async def end(self) -> Stored:
        """Write the rest."""
        if self._pending or not self._written:
            await self._write(len(self._pending))
        return Stored(self._name, self._size)

    async def _write(self, size: int) -> None:
        pieces = [bytes(self._pending[start : min(start + PIECE, size)]) for start in range(0, size, PIECE)]
        del self._pending[:size]
        name, first = self._name, self._written
        await self._store.run(lambda tx: tx.append_blob(name, first, pieces), size=size)
        self._written += len(pieces)


async def pieces_of(read: Reader, text: str) -> AsyncGenerator[bytes, None]:
    """The bytes of a payload or a result, wherever it is kept."""
    kept = stored(text)
    if kept is None:
        yield text.encode()
        return
    number = 0
    while (piece := await read.blob_piece(kept.blob, number)) is not None:
        yield piece
        number += 1


async def leased_subjob(store: Store, call: Call, token: str) -> tuple[HeldSubjob, Subjob]:
    """What a token is a lease of; raises ``Refused`` with LEASE_LOST."""
    user = call.user
    held = await store.run(lambda tx: tx.held(token, user))
    found = await store.read.subjobs(held.job, after=held.ordinal - 1, limit=1)
    if not found or found[0].ordinal != held.ordinal:
        raise refuse(Reason.LEASE_LOST, "The lease is not held any more.")
    return held, found[0]


async def payload(store: Store, call: Call, token: str) -> AsyncGenerator[bytes, None]:
    """The payload of a leased subjob."""
    _, subjob = await leased_subjob(store, call, token)
    async for piece in pieces_of(store.read, subjob.payload):
        yield piece


async def result(store: Store, call: Call, ref: str | int, ordinal: int) -> AsyncGenerator[bytes, None]:
    """The result of a subjob."""
    subjob = await find_subjob(store.read, await find_job(store.read, call, ref), ordinal)
    async for piece in pieces_of(store.read, subjob.result):
        yield piece


async def keep_result(store: Store, call: Call, token: str, pieces: AsyncIterator[bytes]) -> int:
    """Keep the large result of a leased subjob until its attempt ends with it; its size in bytes."""
    held, _ = await leased_subjob(store, call, token)
    job = await store.read.job(held.job, api=None, tenant=None)
    most = result_limit(job.labels) if job is not None else 0
    name = result_of(held.subjob, held.attempt)
    keeping = Keeping(store, name)
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size > most:
            message = f"The result of this job may have {most} bytes."
            raise refuse(Reason.PAYLOAD_TOO_LARGE, message, Violation("content", f"is longer than {most} bytes"))
        await keeping.add(piece)
    await keeping.end()
    user, digest = call.user, keeping.digest

    def finish(tx: Tx) -> None:
        tx.held(token, user)
        tx.finish_blob(name, size, digest, job=held.job)

    await store.run(finish)
    return size


async def kept_result(read: Reader, token: str, field: str) -> str:
    """What stands for a result that was kept for the attempt of a token."""
    subjob, _, rest = token.partition(".")
    attempt = rest.partition(".")[0]
    if not (subjob.isdigit() and attempt.isdigit()):
        raise refuse(Reason.LEASE_LOST, "The lease is not held any more.")
    name = result_of(int(subjob), int(attempt))
    size = await read.blob_size(name)
    if size is None:
        raise invalid(field, "is said of a result that was not sent")
    return Stored(name, size).reference()
