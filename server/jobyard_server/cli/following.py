"""The commands that follow jobs: watch and wait. Both go on where they were when the server was away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

from jobyard.jobs.v1 import event_pb2, job_access_pb2, job_pb2, job_watch_pb2, state_pb2
from jobyard_server.cli.errors import Exit, Outcome
from jobyard_server.cli.form import Form
from jobyard_server.cli.printing import marked, print_job, print_jobs, print_json, say, screen, show
from jobyard_server.cli.session import Reconnecting, RefusedError, Session
from jobyard_server.cli.times import moment

ENDED: Final = frozenset(
    {
        state_pb2.STATE_SUCCEEDED,
        state_pb2.STATE_FAILED,
        state_pb2.STATE_PARTIALLY_FAILED,
        state_pb2.STATE_CANCELLED,
    }
)
"""A failed job that could be resumed has ended too, for whoever waits: nothing happens until somebody does it."""


async def events(
    session: Session, request: job_watch_pb2.WatchJobsRequest, retry_for: float | None
) -> AsyncGenerator[job_watch_pb2.WatchJobsResponse, None]:
    """The stream of a watch, put together from as many connections as it takes."""
    reconnecting = Reconnecting(retry_for)
    while True:
        try:
            async with aclosing(session.stream(session.jobs.WatchJobs, request)) as stream:
                async for message in stream:
                    reconnecting.heard()
                    request.resume_token = message.resume_token
                    yield message
        except RefusedError as error:
            await reconnecting.after(error)
        else:
            return


async def watch(session: Session, request: job_watch_pb2.WatchJobsRequest, form: Form, retry_for: float | None) -> None:
    """Print what happens."""
    if request.job:
        # An unknown job is an error at once, and what is watched does not change its name.
        job = (await session.call(session.jobs.GetJob, job_access_pb2.GetJobRequest(job=request.job))).job
        request.job = job.uid
    async with aclosing(events(session, request, retry_for)) as messages:
        async for message in messages:
            if not message.HasField("event"):
                continue
            if form is Form.TABLE:
                _show_event(message.event)
            elif form is Form.NAME:
                print(message.event.job, flush=True)
            else:
                print_json(message)


def _show_event(event: event_pb2.Event) -> None:
    what = event_pb2.EventType.Name(event.type).removeprefix("EVENT_TYPE_").replace("_", " ").lower()
    name = str(event.job)
    state = marked(event.state)
    if event.HasField("subjob"):
        name = f"{name}/{event.subjob}" + (f"#{event.attempt}" if event.attempt else "")
        if event.subjob_state:
            state = marked(event.subjob_state)
    why = " ".join(part for part in (event.reason, event.message) if part)
    clock = moment(event.time).astimezone().strftime("%H:%M:%S")
    show(f"{clock}  {name:<10} ", state, f"  {what} by {event.actor}", f": {why}" if why else "")
    screen().file.flush()


# --- wait --------------------------------------------------------------------------------------------------------


async def wait(
    session: Session,
    names: Sequence[str],
    form: Form,
    *,
    within: float | None,
    retry_for: float,
    fail_fast: bool,
) -> Outcome:
    """Return when the jobs have ended, whichever way; with ``fail_fast`` when one of them has ended badly."""
    found = {asyncio.create_task(_end_of(session, name, retry_for)): name for name in names}
    ended: list[job_pb2.Job] = []
    try:
        async with asyncio.timeout(within):
            running = set(found)
            while running:
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                ended += [task.result() for task in done]
                if fail_fast and outcome_of(ended) is not Outcome.SUCCEEDED:
                    break
    except TimeoutError:
        _show_ended(ended, form)
        left = [name for task, name in found.items() if not task.done()]
        say(f"not ended after {within:g} s: {', '.join(left)}")
        return Outcome.TIMED_OUT
    finally:
        for task in found:
            task.cancel()
        await asyncio.gather(*found, return_exceptions=True)
    _show_ended(ended, form)
    return outcome_of(ended)


def _show_ended(jobs: Sequence[job_pb2.Job], form: Form) -> None:
    if form is Form.TABLE and jobs:
        print_jobs(jobs)
    elif form is not Form.TABLE:
        for job in jobs:
            print_job(job, form)


def outcome_of(jobs: Sequence[job_pb2.Job]) -> Outcome:
    """The exit code that tells how jobs ended; one that failed counts more than one that was cancelled."""
    states = {job.state for job in jobs}
    if states & {state_pb2.STATE_FAILED, state_pb2.STATE_PARTIALLY_FAILED}:
        return Outcome.FAILED
    return Outcome.CANCELLED if state_pb2.STATE_CANCELLED in states else Outcome.SUCCEEDED


async def _end_of(session: Session, name: str, retry_for: float) -> job_pb2.Job:
    """The job as it was when it had ended."""
    reconnecting = Reconnecting(retry_for)
    request = job_watch_pb2.WatchJobsRequest()
    while True:
        try:
            job = (await session.call(session.jobs.GetJob, job_access_pb2.GetJobRequest(job=name))).job
            if job.state in ENDED:
                return job
            reconnecting.heard()
            request.job = name = job.uid
            await _until_a_change(session, request)
        except RefusedError as error:
            if error.failure.reason == "EVENTS_COMPACTED":
                request.resume_token = ""
                continue
            try:
                await reconnecting.after(error)
            except RefusedError:
                if error.failure.passing:
                    error.code = Exit.UNREACHABLE
                raise


async def _until_a_change(session: Session, request: job_watch_pb2.WatchJobsRequest) -> None:
    """Return after an event with which the job may have ended; the job itself says whether it has.

    An event alone would not do: the first events of a job that was retried tell of an end that does not count any more.
    """
    async with aclosing(session.stream(session.jobs.WatchJobs, request)) as stream:
        async for message in stream:
            request.resume_token = message.resume_token
            event = message.event
            if event.state in ENDED or event.type == event_pb2.EVENT_TYPE_JOB_DELETED:
                return
