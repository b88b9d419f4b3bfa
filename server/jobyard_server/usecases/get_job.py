"""Get one job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobyard_server.usecases.finding import find_job

if TYPE_CHECKING:
    from jobyard_server.domain.job import Job
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Store


async def get_job(store: Store, call: Call, ref: str | int) -> Job:
    """The job named by its number (int), or by its uid or external id (str)."""
    return await find_job(store.read, call, ref)
