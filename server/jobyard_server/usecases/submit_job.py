"""Submit one job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobyard_server.usecases.drafts import JobDraft, resolve

if TYPE_CHECKING:
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Store, Submitted


async def submit_job(store: Store, call: Call, draft: JobDraft) -> Submitted:
    """Accept a job durably, or return the one that the same request made before."""
    return await store.submit(await resolve(store.read, call, draft))
