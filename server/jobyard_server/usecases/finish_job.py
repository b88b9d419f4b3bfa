"""End one job at once, in a state that an authority over it says."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from jobyard_server.domain.event import EventType
from jobyard_server.domain.reason import Reason, invalid, refuse
from jobyard_server.domain.state import Actor, State
from jobyard_server.usecases.finding import check_revision, lock_job

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobyard_server.domain.job import Attribute, Job
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Store, Tx

ENDS: Final = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})
"""What an authority may say. That a part failed is for the subjobs to tell."""
_HELD: Final = frozenset({State.RUNNING, State.CANCELLING})


async def finish_job(
    store: Store,
    call: Call,
    ref: str | int,
    state: State,
    *,
    reason: str = "",
    message: str = "",
    result: str | None = None,
    spec: str | None = None,
    attributes: Mapping[str, Attribute] | None = None,
    revision: int | None = None,
) -> Job:
    """End a job as SUCCEEDED, FAILED or CANCELLED, and take it away from its workers.

    What runs ends in the same state, with ``result`` if one is given; what never began is CANCELLED; what has ended
    keeps its end. ``spec`` and ``attributes`` change the job in the same transaction. A job that has ended is refused.
    """

    def finish(tx: Tx) -> Job:
        job = lock_job(tx, call, ref)
        check_revision(job, revision)
        return finish_locked(
            tx, call, job, state, reason=reason, message=message, result=result, spec=spec, attributes=attributes
        )

    return await store.run(finish)


def finish_locked(
    tx: Tx,
    call: Call,
    job: Job,
    state: State,
    *,
    reason: str = "",
    message: str = "",
    result: str | None = None,
    spec: str | None = None,
    attributes: Mapping[str, Attribute] | None = None,
) -> Job:
    """The same for a job that is read and locked already, inside a larger transaction."""
    if state not in ENDS:
        raise invalid("state", f"is {state}; a job is finished as {', '.join(sorted(ENDS))}")
    if job.terminal:
        problem = f"Job {job.number} is {job.state} already."
        raise refuse(Reason.JOB_FINISHED, problem, job=str(job.number), state=job.state)
    job = tx.change_job(
        job,
        control=replace(job.control, finished_as=state),
        spec=spec,
        attributes=attributes,
        reason=reason,
        message=message,
        event=EventType.FINISH_REQUESTED,
        by=call.user,
        request_id=call.request_id,
    )
    move = partial(
        tx.change_subjob, actor=Actor.USER, reason=reason, message=message, by=call.user, request_id=call.request_id
    )
    for subjob in tx.subjobs(job.number):
        if subjob.state in _HELD:
            move(subjob, state, result=result)
        elif not subjob.state.terminal:
            move(subjob, State.CANCELLED)
    return tx.refold(job, by=call.user, request_id=call.request_id)
