"""Finding jobs and kept things; what is past its expiration is not there any more, also before it is removed."""

from __future__ import annotations

from collections.abc import Sequence

from jobyard_server.apis.viya import names
from jobyard_server.apis.viya.filtering import read as read_filter
from jobyard_server.apis.viya.heartbeats import last_beats
from jobyard_server.apis.viya.mapping import Sight
from jobyard_server.apis.viya.members import Table
from jobyard_server.apis.viya.pages import Window
from jobyard_server.apis.viya.stored_members import ATTRIBUTES
from jobyard_server.domain.catalog import Definition
from jobyard_server.domain.filter import All, Comparison, Expression, Op
from jobyard_server.domain.filter import Any as AnyOf
from jobyard_server.domain.job import Job, Micros
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.finding import find_job, job_unknown, lock_job
from jobyard_server.usecases.ports import DefinitionQuery, Reader, Tx


async def job_named(read: Reader, call: Call, id_: str) -> Job:
    """A job by its identifier."""
    job = await find_job(read, call, id_)
    if _gone(job, await read.now()):
        raise job_unknown(id_)
    return job


def locked(tx: Tx, call: Call, id_: str) -> Job:
    """The same inside a transaction."""
    job = lock_job(tx, call, id_)
    if _gone(job, tx.now):
        raise job_unknown(id_)
    return job


def _gone(job: Job, now: Micros) -> bool:
    return job.expires_at is not None and job.expires_at <= now


def there(where: Expression | None, now: Micros) -> Expression:
    """A condition, and that jobs are still there."""
    alive = AnyOf((Comparison("expires_at", Op.IS_NULL, None), Comparison("expires_at", Op.GT, now)))
    return alive if where is None else All((where, alive))


async def sights(read: Reader, jobs: Sequence[Job]) -> list[Sight]:
    """What has to be known of jobs beside their rows, in their order."""
    subjobs = await read.first_subjobs([job.number for job in jobs])
    going = [job for job in jobs if not job.terminal]
    heard = await read.heard([job.number for job in going])
    beats = await last_beats(read, going)
    now = await read.now()
    return [
        Sight(
            subjob=subjobs.get(job.number),
            beat_at=beats.get(job.uid),
            heard_at=heard.get(job.number),
            now=now,
        )
        for job in jobs
    ]


async def stored_named(read: Reader, call: Call, kind: str, id_: str) -> Definition:
    """A job definition or a kept request by its identifier."""
    found = await read.definition(names.API, call.tenant, id_)
    if found is None or found.kind != kind:
        raise names.request_unknown(id_)
    return found


def stored_locked(tx: Tx, call: Call, kind: str, id_: str) -> Definition:
    """The same inside a transaction."""
    found = tx.definition(names.API, call.tenant, id_)
    if found is None or found.kind != kind:
        raise names.request_unknown(id_)
    return found


async def stored_page(
    read: Reader, call: Call, kind: str, table: Table, window: Window
) -> tuple[Sequence[Definition], int]:
    """A page of job definitions, or of kept requests, of the caller's tenant, and how many match in all."""
    query = DefinitionQuery(
        names.API,
        call.tenant,
        kind,
        ATTRIBUTES,
        where=read_filter(window.filter, table),
        order=table.order(window.sort_by),
        limit=window.limit,
        offset=window.start,
    )
    return await read.definitions_of(query), await read.count_definitions(query)
