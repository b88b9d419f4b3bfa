"""Cancel one job."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from jobyard_server.domain.event import EventType
from jobyard_server.domain.state import Actor, State
from jobyard_server.usecases.finding import check_revision, lock_job

if TYPE_CHECKING:
    from jobyard_server.domain.job import Job
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Store, Tx

NOT_STARTED = frozenset({State.PENDING, State.SUSPENDED})


async def cancel_job(
    store: Store,
    call: Call,
    ref: str | int,
    *,
    reason: str = "CANCELLED_BY_USER",
    message: str = "",
    revision: int | None = None,
) -> Job:
    """Ask a job to end: what waits ends at once, what runs is told. Again, or after its end, nothing changes.

    A FAILED job that could still be resumed is given up: it becomes CANCELLED.
    """

    def cancel(tx: Tx) -> Job:
        job = lock_job(tx, call, ref)
        check_revision(job, revision)
        return cancel_locked(tx, call, job, reason=reason, message=message)

    return await store.run(cancel)


def cancel_locked(tx: Tx, call: Call, job: Job, *, reason: str = "CANCELLED_BY_USER", message: str = "") -> Job:
    """The same for a job that is read and locked already, inside a larger transaction."""
    if job.terminal or job.control.cancel_requested:
        return job
    job = tx.change_job(
        job,
        # What an authority said of a job that may still be resumed is over.
        control=replace(job.control, cancel_requested=True, finished_as=None),
        reason=reason,
        message=message,
        event=EventType.CANCEL_REQUESTED,
        by=call.user,
        request_id=call.request_id,
    )
    move = partial(
        tx.change_subjob, actor=Actor.USER, reason=reason, message=message, by=call.user, request_id=call.request_id
    )
    for subjob in tx.subjobs(job.number):
        if subjob.state in NOT_STARTED or (subjob.state is State.FAILED and job.resumable):
            move(subjob, State.CANCELLED)
        elif subjob.state is State.RUNNING:
            move(subjob, State.CANCELLING)
    return tx.refold(job, by=call.user, request_id=call.request_id)
