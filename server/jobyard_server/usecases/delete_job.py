"""Delete one job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobyard_server.domain.reason import Reason, refuse
from jobyard_server.usecases.finding import check_revision, lock_job

if TYPE_CHECKING:
    from jobyard_server.domain.job import Job
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Store, Tx


async def delete_job(
    store: Store, call: Call, ref: str | int, *, force: bool = False, revision: int | None = None
) -> Job:
    """Remove a job with all it owns, and return it as it was. One that has not ended needs ``force``."""

    def delete(tx: Tx) -> Job:
        job = lock_job(tx, call, ref)
        check_revision(job, revision)
        return delete_locked(tx, call, job, force=force)

    return await store.run(delete)


def delete_locked(tx: Tx, call: Call, job: Job, *, force: bool = False) -> Job:
    """The same for a job that is read and locked already, inside a larger transaction."""
    if not job.state.terminal and not force:
        raise refuse(
            Reason.JOB_NOT_FINISHED,
            f"Job {job.number} is {job.state}; cancel it first, or delete it with force.",
            job=str(job.number),
            state=job.state,
        )
    tx.delete_job(job, by=call.user, request_id=call.request_id)
    return job
