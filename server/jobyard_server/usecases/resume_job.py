"""Resume one job that was suspended, or that failed and may go on."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from jobyard_server.domain.event import EventType
from jobyard_server.domain.reason import Reason, refuse
from jobyard_server.domain.state import Actor, Mode, State
from jobyard_server.usecases.catch_up_schedule import catch_up_schedule
from jobyard_server.usecases.finding import check_revision, lock_job

if TYPE_CHECKING:
    from jobyard_server.domain.job import Job
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Store, Tx


async def resume_job(
    store: Store, call: Call, ref: str | int, *, message: str = "", revision: int | None = None
) -> Job:
    """Let a job go on. One that is neither suspended nor FAILED and resumable is returned as it is, unless it ended."""

    def resume(tx: Tx) -> Job:
        job = lock_job(tx, call, ref)
        check_revision(job, revision)
        if job.terminal or job.control.cancel_requested:
            raise refuse(
                Reason.JOB_FINISHED,
                f"Job {job.number} is {job.state} and cannot be resumed.",
                job=str(job.number),
                state=job.state,
            )
        if not job.control.suspended and not job.state.terminal:
            return job
        # What an authority ended before it began was not given up by anybody.
        again = {State.FAILED} if job.control.finished_as is None else {State.FAILED, State.CANCELLED}
        job = tx.change_job(
            job,
            control=replace(job.control, suspended=False, finished_as=None),
            reason="",
            message=message,
            event=EventType.RESUME_REQUESTED,
            by=call.user,
            request_id=call.request_id,
        )
        if job.mode is Mode.SCHEDULED:
            job = catch_up_schedule(tx, job)
        move = partial(tx.change_subjob, actor=Actor.USER, by=call.user, request_id=call.request_id)
        for subjob in tx.subjobs(job.number):
            if subjob.state is State.SUSPENDED or (job.resumable and subjob.state in again):
                move(subjob, State.PENDING)
        return tx.refold(job, by=call.user, request_id=call.request_id)

    return await store.run(resume)
