"""The command that submits jobs."""

from __future__ import annotations

import re
import sys
import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from jobyard.jobs.v1 import job_submit_pb2
from jobyard_server.cli import following
from jobyard_server.cli.errors import Exit, Outcome, UsageError
from jobyard_server.cli.form import Form
from jobyard_server.cli.printing import print_job, say
from jobyard_server.cli.session import Session

RETRY_SECONDS: Final = 2.0
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def json_of(text: str) -> str:
    """JSON from an argument: itself, ``@FILE``, or ``-`` for standard input."""
    if text != "-" and not text.startswith("@"):
        return text
    source = "standard input" if text == "-" else text[1:]
    try:
        found = sys.stdin.read() if text == "-" else Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{source} cannot be read: {error}") from None
    if not found.strip():
        # What was to write it has failed; a job without a payload is submitted by saying none.
        raise UsageError(f"there is no JSON in {source}")
    return found


def labels_of(pairs: Sequence[str]) -> dict[str, str]:
    """Labels from arguments KEY=VALUE."""
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"label {pair!r} is not KEY=VALUE")
        found[key] = value
    return found


def seconds_of(text: str) -> float:
    """Seconds from ``90``, ``90s``, ``15m``, ``2h`` or ``7d``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not a time; write 90s, 15m, 2h or 7d")
    return float(match[1]) * _UNITS[match[2] or "s"]


def request_of(
    *,
    definition: str,
    payload: str | None,
    pieces: Sequence[str],
    queue: str,
    priority: int,
    display_name: str,
    labels: Sequence[str],
    idempotency_key: str,
    attempts: int,
    keep: str | None,
    limits: Mapping[str, str | None],
    cron: str,
    time_zone: str,
) -> job_submit_pb2.SubmitJobRequest:
    """The request that the options of the command mean."""
    request = job_submit_pb2.SubmitJobRequest(
        definition=definition,
        payload=json_of(payload) if payload is not None else "",
        subjobs=[job_submit_pb2.NewSubjob(payload=json_of(piece)) for piece in pieces],
        queue=queue,
        priority=priority,
        display_name=display_name,
        labels=labels_of(labels),
        # However often it has to be sent, it is one job.
        idempotency_key=idempotency_key or f"cli-{uuid.uuid4().hex}",
    )
    if attempts:
        request.retry.max_attempts = attempts
    if keep is not None:
        request.expires_after.FromTimedelta(timedelta(seconds=seconds_of(keep)))
    for name, text in limits.items():
        if text is not None:
            getattr(request.limits, name).FromTimedelta(timedelta(seconds=seconds_of(text)))
    if cron or time_zone:
        request.schedule.cron = cron
        request.schedule.time_zone = time_zone
    return request


async def submit(
    session: Session, request: job_submit_pb2.SubmitJobRequest, form: Form, *, wait: bool
) -> Exit | Outcome:
    """Submit one job, and wait for its end if asked to."""
    answer = await session.call(session.jobs.SubmitJob, request, retry_for=RETRY_SECONDS)
    if answer.replayed:
        say(f"job {answer.job.number} had been submitted before under this key")
    if not wait:
        print_job(answer.job, form)
        return Exit.OK
    say(f"job {answer.job.number} submitted")
    return await following.wait(session, [answer.job.uid], form, within=None, retry_for=60.0, fail_fast=False)
