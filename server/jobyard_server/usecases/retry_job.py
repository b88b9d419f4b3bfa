"""Retry what did not succeed of one job."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from jobyard_server.domain.event import EventType
from jobyard_server.domain.reason import Reason, Violation, refuse
from jobyard_server.domain.state import Actor, Mode, State
from jobyard_server.usecases.finding import check_revision, lock_job

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from jobyard_server.domain.job import Job, Subjob
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Store, Tx

NOT_DONE: Final = frozenset({State.FAILED, State.PARTIALLY_FAILED, State.CANCELLED})


async def retry_job(
    store: Store,
    call: Call,
    ref: str | int,
    *,
    ordinals: Collection[int] = (),
    message: str = "",
    revision: int | None = None,
) -> Job:
    """Run the subjobs that did not succeed once more; those that did are kept. Their attempts count from zero again.

    All of them need a job that has ended; those at some ``ordinals`` only have to have ended themselves.
    """

    def retry(tx: Tx) -> Job:
        job = lock_job(tx, call, ref)
        check_revision(job, revision)
        return retry_locked(tx, call, job, ordinals=ordinals, message=message)

    return await store.run(retry)


def retry_locked(tx: Tx, call: Call, job: Job, *, ordinals: Collection[int] = (), message: str = "") -> Job:
    """The same for a job that is read and locked already, inside a larger transaction."""
    being_cancelled = job.control.cancel_requested or job.control.finished_as is not None
    if not job.state.terminal and (being_cancelled or not ordinals):
        raise refuse(
            Reason.JOB_NOT_FINISHED,
            f"Job {job.number} is {job.state}; only a job that has ended can be retried.",
            job=str(job.number),
            state=job.state,
        )
    if job.mode is Mode.SCHEDULED:
        problem = f"Job {job.number} is a schedule, which is not retried; submit another one."
        raise refuse(Reason.STATE_CONFLICT, problem, job=str(job.number), state=job.state)
    todo = _chosen(job, tx.subjobs(job.number), ordinals)
    job = tx.change_job(
        job,
        control=replace(job.control, cancel_requested=False, suspended=False, finished_as=None)
        if job.state.terminal
        else None,
        reason="",
        message=message,
        event=EventType.RETRY_REQUESTED,
        by=call.user,
        request_id=call.request_id,
    )
    move = partial(tx.change_subjob, actor=Actor.USER, by=call.user, request_id=call.request_id)
    for subjob in todo:
        again = move(subjob, State.PENDING)
        if job.control.suspended:
            move(again, State.SUSPENDED)
    return tx.refold(job, by=call.user, request_id=call.request_id)


def _chosen(job: Job, subjobs: Sequence[Subjob], ordinals: Collection[int]) -> list[Subjob]:
    """The subjobs to run again."""
    for ordinal in sorted(ordinals):
        if ordinal >= len(subjobs):
            problem = f"Job {job.number} has no subjob {ordinal}."
            place = Violation("subjobs", f"names no subjob of the job: {ordinal}")
            raise refuse(Reason.SUBJOB_NOT_FOUND, problem, place, job=str(job.number), subjob=str(ordinal))
        if (state := subjobs[ordinal].state) not in NOT_DONE:
            problem = f"Subjob {ordinal} of job {job.number} is {state}; only what ended without success is retried."
            raise refuse(Reason.STATE_CONFLICT, problem, job=str(job.number), subjob=str(ordinal), state=state)
    todo = [one for one in subjobs if one.state in NOT_DONE and (not ordinals or one.ordinal in ordinals)]
    if not todo:
        problem = f"Job {job.number} has nothing that did not succeed."
        raise refuse(Reason.STATE_CONFLICT, problem, job=str(job.number), state=job.state)
    return todo
