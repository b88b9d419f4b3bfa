"""Finding the job, subjob or attempt that a caller names, within what the caller may see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobyard_server.domain.reason import Reason, Violation, refuse
from jobyard_server.domain.state import Mode

if TYPE_CHECKING:
    from jobyard_server.domain.job import Attempt, Job, Subjob
    from jobyard_server.domain.reason import Refused
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import KeptSchedule, Reader, Tx


def job_unknown(ref: str | int) -> Refused:
    """The refusal for a job that does not exist for the caller."""
    return refuse(Reason.JOB_NOT_FOUND, f"There is no job {ref}.", job=str(ref))


async def find_job(read: Reader, call: Call, ref: str | int) -> Job:
    """The job that ``ref`` names: a number (int), or a uid or external id (str)."""
    job = await read.job(ref, api=call.seen_api, tenant=call.seen_tenant)
    if job is None:
        raise job_unknown(ref)
    return job


def lock_job(tx: Tx, call: Call, ref: str | int) -> Job:
    """The same inside a transaction, locked."""
    job = tx.job(ref, api=call.seen_api, tenant=call.seen_tenant)
    if job is None:
        raise job_unknown(ref)
    return job


def unscheduled(job: Job) -> Refused:
    """The refusal for a job without a schedule."""
    return refuse(Reason.STATE_CONFLICT, f"Job {job.number} has no schedule.", job=str(job.number), state=job.state)


async def find_scheduled(read: Reader, call: Call, ref: str | int) -> Job:
    """The job that ``ref`` names, which has a schedule."""
    job = await find_job(read, call, ref)
    if job.mode is not Mode.SCHEDULED:
        raise unscheduled(job)
    return job


def lock_scheduled(tx: Tx, call: Call, ref: str | int) -> Job:
    """A job with a schedule that has not ended, locked."""
    job = lock_job(tx, call, ref)
    if job.mode is not Mode.SCHEDULED:
        raise unscheduled(job)
    if job.terminal or job.control.cancel_requested:
        raise refuse(
            Reason.JOB_FINISHED,
            f"Job {job.number} is {job.state}; its schedule has ended.",
            job=str(job.number),
            state=job.state,
        )
    return job


def kept_schedule(tx: Tx, job: Job) -> KeptSchedule:
    """The schedule of a job with MODE_SCHEDULED, locked."""
    kept = tx.schedule(job.number)
    if kept is None:
        raise unscheduled(job)
    return kept


def check_revision(job: Job, revision: int | None) -> None:
    """Refuse (ETAG_MISMATCH) when the caller saw another revision of the job."""
    if revision is not None and revision != job.revision:
        raise refuse(
            Reason.ETAG_MISMATCH,
            f"Job {job.number} has changed since it was read.",
            Violation("etag", "is not the current one"),
            job=str(job.number),
            etag=str(revision),
        )


async def find_subjob(read: Reader, job: Job, ordinal: int) -> Subjob:
    """The piece of a job at a place."""
    there = 0 <= ordinal < job.counters.total
    found = await read.subjobs(job.number, after=ordinal - 1, limit=1) if there else ()
    if not found or found[0].ordinal != ordinal:
        raise refuse(
            Reason.SUBJOB_NOT_FOUND,
            f"Job {job.number} has no subjob {ordinal}.",
            job=str(job.number),
            subjob=str(ordinal),
        )
    return found[0]


async def find_attempt(read: Reader, subjob: Subjob, number: int) -> Attempt:
    """An attempt of a subjob; number 0 is the newest."""
    wanted = number or subjob.attempt_no
    there = 0 < wanted <= subjob.attempt_no
    found = await read.attempts(subjob.id, after=wanted - 1, limit=1) if there else ()
    if not found or found[0].number != wanted:
        raise refuse(
            Reason.ATTEMPT_NOT_FOUND,
            f"Subjob {subjob.ordinal} has no attempt {number}."
            if number
            else f"Subjob {subjob.ordinal} was never run.",
            subjob=str(subjob.ordinal),
            attempt=str(number),
        )
    return found[0]
