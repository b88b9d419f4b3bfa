"""Heartbeats of jobs: written down, and looked at when the next one is overdue.

A heartbeat over REST is kept in a record beside the job, so that it changes neither the job nor its entity tag. For
each job that somebody listens to, one delivery is owed that calls nobody: when its time has come it looks whether the
job was heard of meanwhile, ends it if not, and else owes itself again. What a worker runs is heard of by its session.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from jobyard_server.apis.viya import names
from jobyard_server.apis.viya.mapping import interval_of
from jobyard_server.apis.viya.states import TIMED_OUT
from jobyard_server.apis.viya.times import SECOND
from jobyard_server.domain.delivery import Answer, Delivery, HttpCall, NewDelivery
from jobyard_server.domain.job import Job, Micros
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.state import State
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.finish_job import finish_locked
from jobyard_server.usecases.ports import DeliveryKind, Reader, Rendering, Tx

_NOBODY: Final = "http://heartbeat.invalid"
"""Deliveries have an address; nobody is called there, and by RFC 2606 nobody can be."""
_SERVER: Final = "jobyard"
"""Who is told to have ended a job that was not heard of."""


def listen(tx: Tx, job: Job, at: Micros | None = None) -> None:
    """Look at a job when its next heartbeat is overdue, unless nobody listens to it."""
    tx.withdraw(job.api, job.tenant, _lane(job.number))
    interval = interval_of(job)
    if interval:
        tx.deliver(
            NewDelivery(
                api=names.API,
                tenant=job.tenant,
                kind=names.HEARTBEAT,
                address=_NOBODY,
                facts=f'"{job.uid}"',
                job=job.number,
                lane=_lane(job.number),
                channel=names.HEARTBEAT,
                not_before=tx.now + interval * SECOND if at is None else at,
            )
        )


def beat(tx: Tx, job: Job) -> Micros:
    """Write down that a job was heard of now."""
    tx.put_record(job.api, job.tenant, names.HEARTBEAT, job.uid, str(tx.now))
    return tx.now


def ended(tx: Tx, job: Job) -> None:
    """A job has ended, or is removed: nobody listens any more."""
    tx.withdraw(job.api, job.tenant, _lane(job.number))
    tx.delete_record(job.api, job.tenant, names.HEARTBEAT, job.uid)


async def last_beats(read: Reader, jobs: Iterable[Job]) -> Mapping[str, Micros]:
    """When jobs were last heard of over REST, by uid; those that never were are left out."""
    by_tenant: dict[str, list[str]] = {}
    for job in jobs:
        by_tenant.setdefault(job.tenant, []).append(job.uid)
    found: dict[str, Micros] = {}
    for tenant, uids in by_tenant.items():
        bodies = await read.record_bodies(names.API, tenant, names.HEARTBEAT, uids)
        found.update((uid, int(body)) for uid, body in bodies.items())
    return found


def last_beat_locked(tx: Tx, job: Job) -> Micros | None:
    """The same inside a transaction."""
    record = tx.record(job.api, job.tenant, names.HEARTBEAT, job.uid)
    return None if record is None else int(record.body)


def _lane(number: int) -> str:
    return f"{number}/heartbeat"


async def _call_nobody(_delivery: Delivery, _context: Rendering) -> HttpCall | None:
    return None


def _look(tx: Tx, delivery: Delivery, _answer: Answer) -> None:
    """The time has come: end the job, or look again later."""
    job = tx.job(delivery.facts.strip('"'), api=names.API, tenant=delivery.tenant)
    if job is None or job.terminal or not interval_of(job):
        return
    beat_at = last_beat_locked(tx, job)
    last = max(job.created_at, beat_at or 0)
    due = max(last + interval_of(job) * SECOND, tx.held_until(job.number) or 0)
    if due > tx.now:
        listen(tx, job, due)
        return
    call = Call(Principal(_SERVER, job.tenant), names.API)
    finish_locked(
        tx, call, job, State.FAILED,
        reason=TIMED_OUT,
        message=f"It was not heard of for {interval_of(job)} seconds.",
        attributes={**job.attributes, "beat_at": beat_at},
    )  # fmt: skip


DELIVERIES: Final = {names.HEARTBEAT: DeliveryKind(render=_call_nobody, settled=_look)}
