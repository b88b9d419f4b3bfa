"""List the subjobs of one job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobyard_server.domain.paging import (
    ITEM_BYTES,
    MOST_BYTES,
    Cursor,
    byte_size,
    fingerprint,
    open_page,
    page_size,
    seal_page,
)
from jobyard_server.usecases.finding import find_job

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobyard_server.domain.job import Job, Subjob
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Store


@dataclass(frozen=True, slots=True)
class SubjobPage:
    """One page of subjobs."""

    job: Job
    subjobs: tuple[Subjob, ...]
    next_page_token: str
    """Empty on the last page."""


async def list_subjobs(store: Store, call: Call, ref: str | int, *, size: int = 0, token: str = "") -> SubjobPage:
    """Subjobs in their order."""
    job = await find_job(store.read, call, ref)
    bound_to = fingerprint("subjobs", job.number)
    after = -1
    if token:
        (after,) = open_page(store.signer, bound_to, token).after  # type: ignore[assignment] # what we sealed below
    wanted = page_size(size)
    found = await store.read.subjobs(job.number, after=after, limit=wanted + 1)
    page = _fitting(found[:wanted])
    more = seal_page(store.signer, bound_to, Cursor((page[-1].ordinal,))) if len(found) > len(page) else ""
    return SubjobPage(job, page, more)


def _fitting(subjobs: Sequence[Subjob]) -> tuple[Subjob, ...]:
    """As many as one answer carries, and always the first."""
    size = 0
    for place, subjob in enumerate(subjobs):
        size += ITEM_BYTES + sum(map(byte_size, (subjob.payload, subjob.result, subjob.message, subjob.key)))
        if place and size > MOST_BYTES:
            return tuple(subjobs[:place])
    return tuple(subjobs)
