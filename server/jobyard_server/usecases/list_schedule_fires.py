"""List what became of the due times of one schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobyard_server.domain.paging import Cursor, fingerprint, open_page, page_size, seal_page
from jobyard_server.usecases.finding import find_scheduled

if TYPE_CHECKING:
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import FireRecord, Store


@dataclass(frozen=True, slots=True)
class FirePage:
    """One page of fires."""

    fires: tuple[FireRecord, ...]
    next_page_token: str
    """Empty on the last page."""


async def list_schedule_fires(store: Store, call: Call, ref: str | int, *, size: int = 0, token: str = "") -> FirePage:
    """What became of due times, the newest first."""
    job = await find_scheduled(store.read, call, ref)
    bound_to = fingerprint("fires", job.number)
    before = None
    if token:
        (before,) = open_page(store.signer, bound_to, token).after
    wanted = page_size(size)
    found = await store.read.fires(job.number, before=before, limit=wanted + 1)  # type: ignore[arg-type] # sealed below
    page = tuple(found[:wanted])
    more = seal_page(store.signer, bound_to, Cursor((page[-1].due_at,))) if len(found) > wanted else ""
    return FirePage(page, more)
