"""Retry what failed of one job that ended."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from jobyard_server.domain.event import EventType
from jobyard_server.domain.reason import Reason, refuse
from jobyard_server.domain.state import Actor, State
from jobyard_server.usecases.finding import check_revision, lock_job

if TYPE_CHECKING:
    from jobyard_server.domain.job import Job
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Store, Tx

NOT_DONE: Final = frozenset({State.FAILED, State.PARTIALLY_FAILED, State.CANCELLED})


async def retry_job(store: Store, call: Call, ref: str | int, *, revision: int | None = None) -> Job:
    """Run the subjobs that did not succeed once more; those that did are kept. Their attempts count from zero again."""

    def retry(tx: Tx) -> Job:
        job = lock_job(tx, call, ref)
        check_revision(job, revision)
        if not job.state.terminal:
            raise refuse(
                Reason.JOB_NOT_FINISHED,
                f"Job {job.number} is {job.state}; only a job that has ended can be retried.",
                job=str(job.number),
                state=job.state,
            )
        todo = [subjob for subjob in tx.subjobs(job.number) if subjob.state in NOT_DONE]
        if not todo:
            raise refuse(
                Reason.STATE_CONFLICT,
                f"Job {job.number} has nothing that did not succeed.",
                job=str(job.number),
                state=job.state,
            )
        job = tx.change_job(
            job,
            control=replace(job.control, cancel_requested=False, suspended=False, finished_as=None),
            reason="",
            message="",
            event=EventType.RETRY_REQUESTED,
            by=call.user,
            request_id=call.request_id,
        )
        move = partial(tx.change_subjob, actor=Actor.USER, by=call.user, request_id=call.request_id)
        for subjob in todo:
            move(subjob, State.PENDING)
        return tx.refold(job, by=call.user, request_id=call.request_id)

    return await store.run(retry)
