"""The commands that read jobs: list and get."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from rich.text import Text

from jobyard.jobs.v1 import job_access_pb2, job_pb2, subjob_pb2
from jobyard_server.cli.form import Form
from jobyard_server.cli.printing import (
    job_state,
    print_job,
    print_jobs,
    print_json,
    print_rows,
    say,
    show,
    subjob_state,
    took,
)
from jobyard_server.cli.session import RefusedError, Session, raise_all
from jobyard_server.cli.times import ago

PAGE: Final = 1000
SHOWN_SUBJOBS: Final = 50

NO_JOBS: Final = """no jobs yet; submit one:
  jobyard submit --payload '{"hello": "world"}'"""
NO_MATCH: Final = "no job matches"


async def list_jobs(session: Session, request: job_access_pb2.ListJobsRequest, form: Form, *, everything: bool) -> None:
    """Print a page of jobs, or all pages as one."""
    answer = await session.call(session.jobs.ListJobs, request)
    while everything and answer.next_page_token:
        request.page_token = answer.next_page_token
        request.page_size = PAGE
        page = await session.call(session.jobs.ListJobs, request)
        answer.jobs.extend(page.jobs)
        answer.next_page_token = page.next_page_token
    if form is Form.JSON:
        print_json(answer)
        return
    if form is Form.TABLE:
        if answer.jobs:
            print_jobs(answer.jobs)
        else:
            say(NO_MATCH if request.filter else NO_JOBS)
        if answer.next_page_token:
            say(f"there are more: --all, or --page-token {answer.next_page_token}")
        return
    for job in answer.jobs:
        print_job(job, form)


async def get_jobs(session: Session, names: Sequence[str], form: Form) -> None:
    """Print jobs, for people with their pieces; what the server refuses is told when all have been tried."""
    refused: list[RefusedError] = []
    shown = 0
    for name in names:
        try:
            answer = await session.call(session.jobs.GetJob, job_access_pb2.GetJobRequest(job=name))
        except RefusedError as error:
            if error.failure.passing:
                raise
            refused.append(error)
            continue
        if form is not Form.TABLE:
            print_job(answer.job, form)
            continue
        if shown:
            print()
        await _describe(session, answer.job)
        shown += 1
    raise_all(refused)


async def _describe(session: Session, job: job_pb2.Job) -> None:
    now = datetime.now(UTC)
    labels = ", ".join(f"{key}={value}" for key, value in sorted(job.labels.items()))
    facts: list[tuple[str, str | Text]] = [
        ("job", f"{job.number}  {job.uid}"),
        ("about", job.display_name),
        ("state", job_state(job)),
        ("why", " ".join(part for part in (job.reason, job.message) if part)),
        ("api", f"{job.api}, tenant {job.tenant}"),
        ("external id", job.external_id),
        ("definition", f"{job.definition} version {job.definition_version}" if job.definition else ""),
        ("queue", f"{job.queue}, priority {job.priority}"),
        ("labels", labels),
        ("submitted", f"{ago(job.create_time, now)} by {job.created_by}"),
        ("took", took(job, now) if job.HasField("start_time") else ""),
        ("asked to cancel", "yes" if job.cancel_requested else ""),
        ("deleted", ago(job.expire_time, now) if job.HasField("expire_time") else ""),
    ]
    for name, value in facts:
        if value:
            show(f"{name + ':':<16} ", value)
    request = job_access_pb2.ListSubjobsRequest(job=job.uid, page_size=SHOWN_SUBJOBS)
    answer = await session.call(session.jobs.ListSubjobs, request)
    print()
    titles = ("SUBJOB", "STATE", "ATTEMPTS", "QUEUE", "TOOK", "RESULT")
    print_rows(titles, [_subjob_row(subjob, now) for subjob in answer.subjobs])
    if answer.next_page_token:
        say(f"and {_total(job) - len(answer.subjobs)} more")


def _subjob_row(subjob: subjob_pb2.Subjob, now: datetime) -> tuple[str | Text, ...]:
    result = " ".join(part for part in (subjob.reason, subjob.message) if part)
    if subjob.result not in {"", "null"}:
        result = f"{result} {subjob.result}".strip()
    if subjob.HasField("next_attempt_time"):
        result = f"next attempt {ago(subjob.next_attempt_time, now)}; {result}"
    name = f"{subjob.ordinal} {subjob.key}".strip()
    return name, subjob_state(subjob), str(subjob.attempts), subjob.queue, took(subjob, now), result


def _total(job: job_pb2.Job) -> int:
    return sum(getattr(job.subjobs, field.name) for field in job.subjobs.DESCRIPTOR.fields)
