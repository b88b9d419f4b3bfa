"""List the attempts of one subjob."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobyard_server.usecases.finding import find_job, find_subjob

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobyard_server.domain.job import Attempt
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Store

KEPT: Final = 100
"""Attempts that are kept of a subjob, the newest ones."""


async def list_attempts(store: Store, call: Call, ref: str | int, ordinal: int) -> Sequence[Attempt]:
    """The attempts of a subjob, the newest 100, in their order."""
    job = await find_job(store.read, call, ref)
    subjob = await find_subjob(store.read, job, ordinal)
    return await store.read.attempts(subjob.id, after=max(0, subjob.attempt_no - KEPT), limit=KEPT)
