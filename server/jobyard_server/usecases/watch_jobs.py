"""Watch what happens to jobs: a stream of events that resumes where a former one ended."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from jobyard_server.domain.event import EventType
from jobyard_server.domain.fields import JOB_FIELDS, Field, job_value
from jobyard_server.domain.filter import Comparison, Expression, Op
from jobyard_server.domain.matching import matches
from jobyard_server.domain.reason import Reason, Violation, refuse, stopping
from jobyard_server.usecases.conditions import conditions
from jobyard_server.usecases.finding import find_job
from jobyard_server.usecases.ports import JobQuery
from jobyard_server.usecases.watch_turns import Watchers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence

    from jobyard_server.domain.event import Event
    from jobyard_server.domain.job import Job
    from jobyard_server.domain.reason import Refused
    from jobyard_server.domain.signing import Signer
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Store

CHECKPOINT_SECONDS: Final = 15.0
PAGE: Final = 100
"""Events held for one watcher at a time, whether it listens or not."""

NEAR: Final = 50
"""A watcher with more to tell waits for its turn."""

_PURPOSE: Final = "watch"


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """What is to be watched."""

    job: str | int | None = None
    """The only job to follow."""
    filter: str = ""
    """On the jobs, in the filter language of jobs.v1; looked at when an event is sent."""
    where: Expression | None = None
    """Conditions an API builds itself; joined to ``filter``."""
    resume_token: str = ""
    """Empty: from now on, or with ``job`` from its first event."""
    token_field: str = "resume_token"  # noqa: S105 - no secret
    """Where the caller said it, as refusals name it."""
    include_job: bool = False
    until_terminal: bool = False
    """End with the event that made ``job`` terminal, or deleted it; at once where that was told before."""
    checkpoint_seconds: float = CHECKPOINT_SECONDS


@dataclass(frozen=True, slots=True)
class WatchItem:
    """An event, or a checkpoint that moves the token on."""

    event: Event | None
    job: Job | None
    """As it is when the item is sent, if asked for; ``None`` when it has been deleted."""
    resume_token: str


def seal_watch(signer: Signer, position: int) -> str:
    """The token that resumes a watch behind a position."""
    return signer.seal(_PURPOSE, [signer.epoch, position])


def open_watch(signer: Signer, token: str, *, field: str = "resume_token") -> int | None:
    """The position in a token, ``None`` for one of another epoch; ``Refused`` (INVALID_FIELD) when damaged."""
    try:
        epoch, position = signer.open(_PURPOSE, token)
    except ValueError:
        problem = "is not a token of this server; watch from now on without it"
        raise refuse(Reason.INVALID_FIELD, f"{field} {problem}", Violation(field, problem)) from None
    return position if epoch == signer.epoch and isinstance(position, int) else None


async def watch_jobs(
    store: Store,
    call: Call,
    request: WatchRequest,
    *,
    fields: Mapping[str, Field] = JOB_FIELDS,
    watchers: Watchers | None = None,
    client: str = "",
) -> AsyncGenerator[WatchItem, None]:
    """Events in order, each once, and a checkpoint whenever nothing was sent for a while.

    Nothing is buffered for a watcher: each reads the event table from its own position, as fast as it is listened to.
    ``watchers`` are those of the process, ``client`` the connection that this one came over.
    """
    where, job, position = await _begin(store, call, request, fields)
    if request.until_terminal and await _told(store, call, position, job):
        return
    clock = asyncio.get_running_loop().time
    quiet_since = clock()
    with (watchers := watchers or Watchers()).opened(client) as turn:
        while not store.ending:
            # Asked before reading: what is committed between the read and the wait is not slept over.
            change = asyncio.ensure_future(store.changed(request.checkpoint_seconds))
            try:
                events = await _events(store, call, request, position, job)
                behind = await _behind(store, position) if len(events) > NEAR else 0
                async for item in watchers.taken(turn, _items(store, call, request, where, events), behind):
                    quiet_since = clock()
                    yield item
                    if request.until_terminal and await _ended(store, item.event):
                        return
                position = events[-1].position if events else position
                if clock() - quiet_since >= request.checkpoint_seconds:
                    quiet_since = clock()
                    yield WatchItem(None, None, seal_watch(store.signer, position))
                if len(events) < PAGE and not store.ending:
                    await change
            finally:
                change.cancel()
    raise stopping()


async def _begin(
    store: Store, call: Call, request: WatchRequest, fields: Mapping[str, Field]
) -> tuple[Expression | None, Job | None, int]:
    """The condition on jobs, the job to follow, and the position behind which to tell."""
    where = conditions(request.filter, request.where, fields)
    job = await find_job(store.read, call, request.job) if request.job is not None else None
    floor, head = await store.read.event_bounds()
    if not request.resume_token:
        return where, job, head if job is None else floor
    position = open_watch(store.signer, request.resume_token, field=request.token_field)
    if position is None or not floor <= position <= head:
        raise _compacted(request)
    return where, job, position


async def _told(store: Store, call: Call, position: int, job: Job | None) -> bool:
    """Whether a job has ended and nothing of it is left to tell."""
    if job is None or not job.terminal:
        return False
    return not await store.read.events(
        after=position, limit=1, api=call.seen_api, tenant=call.seen_tenant, job=job.number
    )


async def _events(store: Store, call: Call, request: WatchRequest, position: int, job: Job | None) -> Sequence[Event]:
    """The events behind a position; a watcher that listens too slowly learns that it has missed something."""
    number = None if job is None else job.number
    events = await store.read.events(
        after=position, limit=PAGE, api=call.seen_api, tenant=call.seen_tenant, job=number
    )  # fmt: skip
    floor, _ = await store.read.event_bounds()
    if position < floor:
        raise _compacted(request)
    return events


async def _behind(store: Store, position: int) -> int:
    """How many events there are behind a position, those that it does not see included."""
    _, head = await store.read.event_bounds()
    return head - position


def _compacted(request: WatchRequest) -> Refused:
    return refuse(
        Reason.EVENTS_COMPACTED,
        "The events behind this token are no longer kept. List the jobs again and watch with the token of the list.",
        Violation(request.token_field, "is older than the events kept"),
    )


async def _items(
    store: Store, call: Call, request: WatchRequest, where: Expression | None, events: Sequence[Event]
) -> AsyncIterator[WatchItem]:
    """The events that match, with their jobs where asked for."""
    jobs: Mapping[int, Job] = {}
    if events and (request.include_job or where is not None):
        numbers = tuple({event.job for event in events})
        only = Comparison("number", Op.IN, numbers)
        query = JobQuery(call.seen_api, call.seen_tenant, only, limit=len(numbers))
        jobs = {job.number: job for job in await store.read.jobs(query)}
    for event in events:
        job = jobs.get(event.job)
        if where is not None and not _wanted(where, event, job):
            continue
        yield WatchItem(event, job if request.include_job else None, seal_watch(store.signer, event.position))


def _wanted(where: Expression, event: Event, job: Job | None) -> bool:
    """Whether an event is of a job that matches; of a job that is gone only its end is told."""
    if job is None:
        return event.type is EventType.JOB_DELETED
    return matches(where, lambda name: job_value(job, name))


async def _ended(store: Store, event: Event | None) -> bool:
    """Whether nothing more is to come of the job, unless somebody retries it."""
    if event is None:
        return False
    if event.type is EventType.JOB_DELETED:
        return True
    if not event.state.terminal:
        return False
    job = await store.read.job(event.job, api=None, tenant=None)
    return job is None or job.terminal
