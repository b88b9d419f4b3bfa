"""Import jobs that ran in another system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobyard_server.domain.reason import invalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobyard_server.domain.job import Job
    from jobyard_server.usecases.ports import ImportedJob, Store, Tx

MAX_JOBS: Final = 1000


async def import_jobs(store: Store, jobs: Sequence[ImportedJob], *, field: str = "jobs") -> Sequence[Job]:
    """Write jobs with their numbers, times and states, all or none; a job of the same number is replaced."""
    if len(jobs) > MAX_JOBS:
        raise invalid(field, f"has more than {MAX_JOBS} jobs")

    def write(tx: Tx) -> Sequence[Job]:
        return [tx.import_job(job) for job in jobs]

    return await store.run(write)
