"""End one job at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from jobyard_server.domain.event import EventType
from jobyard_server.domain.state import Actor, State
from jobyard_server.usecases.finding import lock_job

if TYPE_CHECKING:
    from jobyard_server.domain.job import Job
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Store, Tx


async def terminate_job(store: Store, call: Call, ref: str | int, *, reason: str, message: str = "") -> Job:
    """Cancel a job without asking its workers: their leases are lost. One that has ended is returned as it is."""

    def terminate(tx: Tx) -> Job:
        job = lock_job(tx, call, ref)
        if job.terminal:
            return job
        job = tx.change_job(
            job,
            control=replace(job.control, cancel_requested=True, finished_as=None),
            reason=reason,
            message=message,
            event=EventType.CANCEL_REQUESTED,
            by=call.user,
            request_id=call.request_id,
        )
        for subjob in tx.subjobs(job.number):
            if not subjob.state.terminal or (subjob.state is State.FAILED and job.resumable):
                tx.change_subjob(
                    subjob, State.CANCELLED, actor=Actor.USER, reason=reason, message=message,
                    by=call.user, request_id=call.request_id,
                )  # fmt: skip
        return tx.refold(job, by=call.user, request_id=call.request_id)

    return await store.run(terminate)
