"""The command that prints logs."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from typing import Final

from jobyard.jobs.v1 import job_access_pb2, job_watch_pb2, subjob_pb2
from jobyard_server.cli.errors import CommandError, UsageError
from jobyard_server.cli.following import ENDED
from jobyard_server.cli.printing import say
from jobyard_server.cli.session import Reconnecting, RefusedError, Session

LOOK_SECONDS: Final = 0.5
PAGE: Final = 1000


async def logs(session: Session, name: str, *, attempt: int, follow: bool, retry_for: float) -> None:
    """Print the log of a subjob, or of every subjob of a job, one after the other."""
    job, slash, ordinal = name.partition("/")
    if slash:
        if not ordinal.isdigit():
            raise UsageError(f"{name!r} is not JOB/SUBJOB; the subjob is a number, the first one is 0")
        await _log(session, job, int(ordinal), attempt=attempt, follow=follow, retry_for=retry_for)
        return
    ordinals = await _ordinals(session, job)
    for each in ordinals:
        if len(ordinals) > 1:
            say(f"== {job}/{each}")
        try:
            await _log(session, job, each, attempt=attempt, follow=follow, retry_for=retry_for)
        except RefusedError as error:
            if error.failure.reason != "ATTEMPT_NOT_FOUND" or len(ordinals) == 1:
                raise
            say(error.message)


async def _ordinals(session: Session, job: str) -> list[int]:
    request = job_access_pb2.ListSubjobsRequest(job=job, page_size=PAGE)
    found: list[int] = []
    while True:
        answer = await session.call(session.jobs.ListSubjobs, request)
        found += [subjob.ordinal for subjob in answer.subjobs]
        if not answer.next_page_token:
            return found
        request.page_token = answer.next_page_token


async def _log(session: Session, job: str, ordinal: int, *, attempt: int, follow: bool, retry_for: float) -> None:
    """Print the log of a subjob; when following the newest attempt, those that come after it too."""
    request = job_watch_pb2.GetLogRequest(job=job, subjob=ordinal, attempt=attempt, follow=follow)
    reconnecting = Reconnecting(retry_for)
    while True:
        try:
            await _print(session, request)
            if not follow or attempt or await _ended(session, job, ordinal):
                return
            # A log without a byte has not told which attempt it is of.
            request.attempt = (request.attempt or await _newest_attempt(session, job, ordinal)) + 1
            request.offset = 0
            while await _newest_attempt(session, job, ordinal) < request.attempt:
                if await _ended(session, job, ordinal):
                    return
                await asyncio.sleep(LOOK_SECONDS)
            say(f"-- attempt {request.attempt}")
        except RefusedError as error:
            if not (follow and error.failure.reason == "ATTEMPT_NOT_FOUND" and not attempt):
                await reconnecting.after(error)
            elif await _ended(session, job, ordinal):
                raise
            else:
                await asyncio.sleep(LOOK_SECONDS)


async def _print(session: Session, request: job_watch_pb2.GetLogRequest) -> None:
    """Print one attempt's log from the offset of the request on, and move it."""
    async with aclosing(session.stream(session.jobs.GetLog, request)) as stream:
        async for chunk in stream:
            # A connection that breaks is taken up at the same attempt.
            request.attempt = chunk.attempt
            if chunk.offset > request.offset:
                say(f"-- {chunk.offset - request.offset} bytes were not kept")
            sys.stdout.buffer.write(chunk.data)
            sys.stdout.buffer.flush()
            request.offset = chunk.offset + len(chunk.data)


async def _subjob(session: Session, job: str, ordinal: int) -> subjob_pb2.Subjob:
    request = job_access_pb2.ListSubjobsRequest(job=job, page_size=PAGE)
    while True:
        answer = await session.call(session.jobs.ListSubjobs, request)
        for subjob in answer.subjobs:
            if subjob.ordinal == ordinal:
                return subjob
        if not answer.next_page_token:
            raise CommandError(f"job {job} has no subjob {ordinal}")
        request.page_token = answer.next_page_token


async def _ended(session: Session, job: str, ordinal: int) -> bool:
    return (await _subjob(session, job, ordinal)).state in ENDED


async def _newest_attempt(session: Session, job: str, ordinal: int) -> int:
    request = job_access_pb2.ListAttemptsRequest(job=job, subjob=ordinal)
    answer = await session.call(session.jobs.ListAttempts, request)
    return max((attempt.number for attempt in answer.attempts), default=0)
