"""What the commands do that change jobs: each job for itself, or all that match a filter by one call."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias, TypeVar

from jobyard.jobs.v1 import job_access_pb2, job_bulk_pb2, job_control_pb2, job_pb2, state_pb2
from jobyard_server.cli.errors import CommandError, UsageError
from jobyard_server.cli.form import Form
from jobyard_server.cli.printing import print_job, print_jobs, print_json, say
from jobyard_server.cli.session import RefusedError, Session, raise_all

AT_ONCE: Final = 16
SHOWN: Final = 1000
CHANGING_SECONDS: Final = 300.0
RETRY_FOR: Final = 5.0

T = TypeVar("T")


# --- each for itself -----------------------------------------------------------------------------------------------


async def look_at_jobs(session: Session, names: Sequence[str], form: Form) -> None:
    """Show jobs that would be changed, and change nothing."""

    async def look(name: str) -> job_pb2.Job:
        return (await session.call(session.jobs.GetJob, job_access_pb2.GetJobRequest(job=name))).job

    await _each(names, look, lambda jobs: _show(jobs, form))
    say("nothing was changed: this was a dry run")


async def cancel_jobs(session: Session, names: Sequence[str], message: str, form: Form) -> None:
    """Ask jobs to end."""

    async def cancel(name: str) -> job_pb2.Job:
        request = job_access_pb2.CancelJobRequest(job=name, message=message)
        return (await session.call(session.jobs.CancelJob, request, retry_for=RETRY_FOR)).job

    def tell(cancelled: Sequence[job_pb2.Job]) -> None:
        _show(cancelled, form)
        for job in cancelled:
            if job.terminal and job.state != state_pb2.STATE_CANCELLED:
                say(f"job {job.number} had ended before")

    await _each(names, cancel, tell)


async def suspend_jobs(session: Session, names: Sequence[str], message: str, form: Form) -> None:
    """Hold jobs back."""

    async def suspend(name: str) -> job_pb2.Job:
        request = job_control_pb2.SuspendJobRequest(job=name, message=message)
        return (await session.call(session.jobs.SuspendJob, request, retry_for=RETRY_FOR)).job

    await _each(names, suspend, lambda jobs: _show(jobs, form))


async def resume_jobs(session: Session, names: Sequence[str], message: str, form: Form) -> None:
    """Let jobs go on."""

    async def resume(name: str) -> job_pb2.Job:
        request = job_control_pb2.ResumeJobRequest(job=name, message=message)
        return (await session.call(session.jobs.ResumeJob, request, retry_for=RETRY_FOR)).job

    await _each(names, resume, lambda jobs: _show(jobs, form))


async def retry_jobs(session: Session, names: Sequence[str], message: str, form: Form) -> None:
    """Run once more what did not succeed of jobs, or of them the pieces that are named."""
    requests = [_retry_of(name, message) for name in names]

    async def retry(request: job_control_pb2.RetryJobRequest) -> job_pb2.Job:
        # Not sent again: it could find the new attempts ended, and begin others.
        return (await session.call(session.jobs.RetryJob, request)).job

    await _each(requests, retry, lambda jobs: _show(jobs, form))


def _retry_of(name: str, message: str) -> job_control_pb2.RetryJobRequest:
    job, slash, ordinal = name.partition("/")
    if slash and not (ordinal.isascii() and ordinal.isdigit()):
        raise UsageError(f"{name!r} is not JOB/SUBJOB; the subjob is a number, the first one is 0")
    return job_control_pb2.RetryJobRequest(job=job, subjobs=[int(ordinal)] if slash else [], message=message)


def jobs_of(names: Sequence[str]) -> list[str]:
    """The jobs that are named, themselves or by pieces of them."""
    return list(dict.fromkeys(_retry_of(name, "").job for name in names))


async def delete_jobs(session: Session, names: Sequence[str], *, force: bool) -> None:
    """Remove jobs."""

    async def delete(name: str) -> str:
        await session.call(session.jobs.DeleteJob, job_access_pb2.DeleteJobRequest(job=name, force=force))
        return name

    await _each(names, delete, lambda gone: say(f"deleted {', '.join(gone)}" if gone else "nothing was deleted"))


Name = TypeVar("Name")


async def _each(
    names: Sequence[Name], change: Callable[[Name], Awaitable[T]], tell: Callable[[Sequence[T]], None]
) -> None:
    """Change jobs, some at once; what the server refuses is told when all have been tried."""
    at_once = asyncio.Semaphore(AT_ONCE)
    refused: list[RefusedError] = []

    async def one(name: Name) -> list[T]:
        async with at_once:
            try:
                return [await change(name)]
            except RefusedError as error:
                refused.append(error)
                return []

    outcomes = await asyncio.gather(*map(one, names))
    tell([changed for outcome in outcomes for changed in outcome])
    raise_all(refused)


def _show(jobs: Sequence[job_pb2.Job], form: Form) -> None:
    if form is Form.TABLE and jobs:
        print_jobs(jobs)
    elif form is not Form.TABLE:
        for job in jobs:
            print_job(job, form)


# --- all that match ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Many:
    """Which jobs, and how sure the caller is."""

    condition: str
    dry_run: bool
    sure: bool


Answer: TypeAlias = job_bulk_pb2.CancelJobsResponse | job_bulk_pb2.RetryJobsResponse | job_bulk_pb2.DeleteJobsResponse


class Change(Protocol):
    """Sends one of the calls that change many jobs."""

    async def __call__(self, *, dry_run: bool, expected: int | None) -> Answer:
        """Send it."""


@dataclass(frozen=True, slots=True)
class Verb:
    """What is done to many jobs."""

    name: str
    done: str
    states: tuple[str, ...]
    """Those of jobs that it is done to; none for any."""


async def cancel_matching(session: Session, many: Many, message: str, form: Form) -> None:
    """Ask all jobs that match to end."""

    async def change(*, dry_run: bool, expected: int | None) -> job_bulk_pb2.CancelJobsResponse:
        request = job_bulk_pb2.CancelJobsRequest(
            filter=many.condition, message=message, dry_run=dry_run, expected_count=expected
        )
        return await session.call(session.jobs.CancelJobs, request, seconds=CHANGING_SECONDS)

    await _change(session, many, form, Verb("cancel", "cancelled", ("PENDING", "RUNNING", "SUSPENDED")), change)


async def retry_matching(session: Session, many: Many, message: str, form: Form) -> None:
    """Run once more what failed of all jobs that match."""

    async def change(*, dry_run: bool, expected: int | None) -> job_bulk_pb2.RetryJobsResponse:
        request = job_bulk_pb2.RetryJobsRequest(
            filter=many.condition, message=message, dry_run=dry_run, expected_count=expected
        )
        return await session.call(session.jobs.RetryJobs, request, seconds=CHANGING_SECONDS)

    await _change(session, many, form, Verb("retry", "retried", ("FAILED", "PARTIALLY_FAILED")), change)


async def delete_matching(session: Session, many: Many, form: Form, *, force: bool) -> None:
    """Remove all jobs that match."""

    async def change(*, dry_run: bool, expected: int | None) -> job_bulk_pb2.DeleteJobsResponse:
        request = job_bulk_pb2.DeleteJobsRequest(
            filter=many.condition, force=force, dry_run=dry_run, expected_count=expected
        )
        return await session.call(session.jobs.DeleteJobs, request, seconds=CHANGING_SECONDS)

    states = () if force else ("SUCCEEDED", "FAILED", "PARTIALLY_FAILED", "CANCELLED")
    await _change(session, many, form, Verb("delete", "deleted", states), change)


async def _change(session: Session, many: Many, form: Form, verb: Verb, change: Change) -> None:
    """Count, ask, and change until nothing is left."""
    count = (await change(dry_run=True, expected=None)).matched
    if not count:
        say(f"no job to {verb.name} matches")
        return
    if many.dry_run:
        _show(await _some(session, many.condition, verb), form)
        say(f"{count} would be {verb.done}")
        return
    if not many.sure:
        _ask(count, verb)
    answer = await change(dry_run=False, expected=None if many.sure else count)
    changed = answer.changed
    while answer.more and answer.changed:
        answer = await change(dry_run=False, expected=None)
        changed += answer.changed
    if form in {Form.JSON, Form.JSONL}:
        answer.matched, answer.changed = count, changed
        print_json(answer)
    say(f"{changed} {verb.done}")


def _ask(count: int, verb: Verb) -> None:
    """Have a person say yes."""
    if not sys.stdin.isatty():
        raise CommandError(f"{count} jobs match; say --yes to {verb.name} them, or look first with --dry-run")
    say(f"{verb.name} {count} jobs? [y/N]")
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise CommandError(f"nothing was {verb.done}")


async def _some(session: Session, condition: str, verb: Verb) -> Sequence[job_pb2.Job]:
    """The first jobs that match and stand in one of some states."""
    if verb.states:
        condition = f"({condition}) AND ({' OR '.join(f'state = {state}' for state in verb.states)})"
    request = job_access_pb2.ListJobsRequest(filter=condition, order_by="number", page_size=SHOWN)
    return (await session.call(session.jobs.ListJobs, request)).jobs
