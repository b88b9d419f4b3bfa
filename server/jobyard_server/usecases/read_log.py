"""Read the log of an attempt, and follow it while it grows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from jobyard_server.domain.job import Outcome
from jobyard_server.domain.reason import stopping
from jobyard_server.usecases.finding import find_attempt, find_job, find_subjob

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Store

CHUNK: Final = 64 * 1024
POLL_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class LogChunk:
    """A piece of a log."""

    attempt: int
    offset: int
    """Where it starts; it jumps where the middle of a long log was not kept."""
    data: bytes


async def read_log(
    store: Store, call: Call, ref: str | int, ordinal: int, *, attempt: int = 0, offset: int = 0, follow: bool = False
) -> AsyncGenerator[LogChunk, None]:
    """The log from ``offset`` on; with ``follow`` until the attempt has ended. Attempt 0 is the newest one."""
    job = await find_job(store.read, call, ref)
    subjob = await find_subjob(store.read, job, ordinal)
    number = (await find_attempt(store.read, subjob, attempt)).number
    at = offset
    while True:
        # Looked at before reading: what an attempt logged before it ended is then read for certain.
        ended = (await find_attempt(store.read, subjob, number)).outcome is not Outcome.OPEN
        data, start = await store.read.log(subjob.id, number, offset=at, limit=CHUNK)
        if data:
            yield LogChunk(number, start, data)
            at = start + len(data)
        elif ended or not follow:
            return
        elif store.ending:
            raise stopping()
        else:
            await store.changed(POLL_SECONDS)
