"""Make a job of a schedule now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from jobyard_server.domain.job import IdempotencyKey
from jobyard_server.domain.reason import Reason, Refusal, Refused, refuse
from jobyard_server.usecases.finding import find_scheduled, lock_scheduled
from jobyard_server.usecases.ports import DueTime

if TYPE_CHECKING:
    from jobyard_server.domain.job import Job, NewJob
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import MakeJobs, Store, Submitted, Tx


async def run_schedule_now(
    store: Store, call: Call, makers: Mapping[str, MakeJobs], ref: str | int, *, request_key: str = ""
) -> Submitted:
    """Make a job besides those of the due times, also while the schedule is paused or another job goes on."""
    job = await find_scheduled(store.read, call, ref)
    new = replace(
        await _make(store, makers, job),
        actor=call.user,
        request_id=call.request_id,
        key=_key(call, job, request_key),
    )

    def run(tx: Tx) -> Submitted:
        return tx.fire_now(lock_scheduled(tx, call, ref), new)

    return await store.run(run)


async def _make(store: Store, makers: Mapping[str, MakeJobs], job: Job) -> NewJob:
    maker = makers.get(job.api)
    if maker is None:
        raise refuse(
            Reason.STATE_CONFLICT,
            f"The API {job.api!r} makes no jobs by schedules.",
            job=str(job.number),
            state=job.state,
        )
    (new,) = await maker(store.read, [DueTime(job, await store.read.now())])
    if isinstance(new, Refusal):
        raise Refused(new)
    return new


def _key(call: Call, job: Job, request_key: str) -> IdempotencyKey | None:
    """The schedule is a part of the key, so the same key means the same for it, whatever it makes meanwhile."""
    if not request_key:
        return None
    return IdempotencyKey(f"run {job.number} {len(call.user)}:{call.user}:{request_key}", fingerprint="")
