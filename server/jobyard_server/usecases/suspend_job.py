"""Suspend one job."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from jobyard_server.domain.event import EventType
from jobyard_server.domain.reason import Reason, refuse
from jobyard_server.domain.state import Actor, State
from jobyard_server.usecases.finding import check_revision, lock_job

if TYPE_CHECKING:
    from jobyard_server.domain.job import Job
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Store, Tx


async def suspend_job(
    store: Store,
    call: Call,
    ref: str | int,
    *,
    reason: str = "SUSPENDED_BY_USER",
    message: str = "",
    revision: int | None = None,
) -> Job:
    """Hold a job back: what waits is not handed out, what runs is told to stop where it can be taken up again."""

    def suspend(tx: Tx) -> Job:
        job = lock_job(tx, call, ref)
        check_revision(job, revision)
        if job.control.suspended and not job.state.terminal:
            return job
        if job.state.terminal or job.control.cancel_requested:
            problem = f"Job {job.number} is {job.state} and cannot be suspended."
            raise refuse(Reason.JOB_FINISHED, problem, job=str(job.number), state=job.state)
        job = tx.change_job(
            job,
            control=replace(job.control, suspended=True),
            reason=reason,
            message=message,
            event=EventType.SUSPEND_REQUESTED,
            by=call.user,
            request_id=call.request_id,
        )
        move = partial(
            tx.change_subjob, actor=Actor.USER, reason=reason, message=message, by=call.user, request_id=call.request_id
        )
        for subjob in tx.subjobs(job.number):
            if subjob.state is State.PENDING:
                move(subjob, State.SUSPENDED)
        return tx.refold(job, by=call.user, request_id=call.request_id)

    return await store.run(suspend)
