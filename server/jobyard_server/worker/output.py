"""The output of a program: read to its end, sent on as its log, its last lines remembered."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from typing import Final

from jobyard.jobs.v1 import worker_settle_pb2
from jobyard_server.worker.calls import Calls, FailedError, Method

CHUNK_BYTES: Final = 64 * 1024
PENDING_BYTES: Final = 1024 * 1024
"""Output that waits to be sent; a program that writes more than the server takes waits in its write."""
TAIL_BYTES: Final = 64 * 1024
GATHER_SECONDS: Final = 0.1
"""Lines written within this time travel together."""

_log = logging.getLogger(__name__)

AppendLog = Method[worker_settle_pb2.AppendLogRequest, worker_settle_pb2.AppendLogResponse]


class Output:
    """What one program writes to stdout and stderr."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pending = bytearray()
        self._taken = 0
        self._dropped = 0
        self._tail = b""
        self._ended = False
        self._abandoned = False
        self._changed = asyncio.Condition()

    @property
    def tail(self) -> bytes:
        """The last bytes written."""
        return self._tail

    async def read(self, pipe: int) -> None:
        """Read a pipe until all who could write to it have ended."""
        reader = asyncio.StreamReader(limit=CHUNK_BYTES)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb", buffering=0)
        )
        try:
            while data := await reader.read(CHUNK_BYTES):
                await self._take(data)
        finally:
            transport.close()

    async def end(self) -> None:
        """Nothing more comes."""
        if self._dropped and not self._abandoned:
            self._pending += f"\n[{self._dropped} more bytes of output were not kept]\n".encode()
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    async def abandon(self) -> None:
        """Send no more; what the program writes is read and dropped."""
        async with self._changed:
            self._abandoned = True
            self._pending.clear()
            self._changed.notify_all()

    async def _take(self, data: bytes) -> None:
        self._tail = (self._tail + data)[-TAIL_BYTES:]
        kept = data[: max(0, self._limit - self._taken)]
        self._taken += len(kept)
        self._dropped += len(data) - len(kept)
        if not kept:
            return
        async with self._changed:
            await self._changed.wait_for(lambda: self._abandoned or len(self._pending) < PENDING_BYTES)
            if not self._abandoned:
                self._pending += kept
                self._changed.notify_all()

    async def send(self, calls: Calls, append_log: AppendLog, token: str, patience: Callable[[], float]) -> None:
        """Send the output as it comes, until its end; gives up when the server refuses it."""
        offset = 0
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._pending or self._ended or self._abandoned)
            if self._abandoned or not self._pending:
                return
            if len(self._pending) < CHUNK_BYTES and not self._ended:
                await self._gather()
            chunk = bytes(self._pending[:CHUNK_BYTES])
            if not chunk:
                continue
            request = worker_settle_pb2.AppendLogRequest(token=token, offset=offset, data=chunk)
            try:
                await calls.patiently(append_log, request, patience=patience)
            except FailedError as error:
                if error.failure.reason != "LEASE_LOST":
                    _log.warning("output is not sent any more: %s", error)
                await self.abandon()
                return
            offset += len(chunk)
            async with self._changed:
                del self._pending[: len(chunk)]
                self._changed.notify_all()

    async def _gather(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GATHER_SECONDS), self._changed:
                await self._changed.wait_for(
                    lambda: self._ended or self._abandoned or len(self._pending) >= CHUNK_BYTES
                )
