"""The data jobs of a DMI service: made for a data producer, found again by its name and theirs."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

import orjson

from jobyard_server.apis.ncmp.dmi_intake import Intake, unsupported
from jobyard_server.apis.ncmp.nouns import API
from jobyard_server.domain.filter import All, Comparison, Op
from jobyard_server.domain.job import Attribute, IdempotencyKey, Job, NewSubjob
from jobyard_server.domain.reason import invalid
from jobyard_server.domain.stored_json import LARGE, LARGEST, RESULT_LABEL, Stored
from jobyard_server.usecases.contents import Keeping
from jobyard_server.usecases.drafts import JobDraft, resolve
from jobyard_server.usecases.finding import job_unknown
from jobyard_server.usecases.ports import JobQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Reader, Store, Tx

ROLE: Final = "dmi"
PRODUCER: Final = "data-producer"
"""Kind of the executor that says what is known of a data producer."""
QUEUES: Final = "ncmp/"
"""What the queue of a data producer is called where no executor says it, with the identifier behind."""
LONGEST_QUEUE: Final = 128
READ: Final = "read"
WRITE: Final = "write"


def check_producer(spec: str) -> Mapping[str, Attribute]:
    """A data producer says at most which jobs it takes: ``{"read": false, "write": true}``."""
    said = orjson.loads(spec)
    for name, value in said.items():
        if name not in {READ, WRITE}:
            raise invalid(f"executor.spec.{name}", "is not known of a data producer")
        if not isinstance(value, bool):
            raise invalid(f"executor.spec.{name}", "must be true or false")
    return {}


async def create(store: Store, call: Call, intake: Intake, *, reads: bool) -> Job:
    """Make the job of a request, or find the one that the same request made before."""
    queue = await _queue(store.read, call, intake.producer, READ if reads else WRITE)
    stored = await _keep(store, intake)
    payload = intake.body.decode() if stored is None else stored.reference()
    draft = JobDraft(
        queue=queue,
        subjobs=(NewSubjob(payload, key=intake.producer),),
        display_name=intake.job,
        attributes=_attributes(intake, reads=reads),
        labels={RESULT_LABEL: str(LARGEST)},
        key=IdempotencyKey(f"{ROLE}\n{call.user}\n{intake.key}", intake.digest) if intake.key else None,
    )
    new = await resolve(store.read, call, draft)
    digest = intake.digest

    def submit(tx: Tx) -> Job:
        submitted = tx.submit(new)
        if stored is not None and not submitted.replayed:
            tx.finish_blob(stored.blob, stored.size, digest, job=submitted.job.number)
        return submitted.job

    return await store.run(submit, size=len(payload))


async def find(read: Reader, call: Call, id_: str, producer: str, data_job: str = "") -> Job:
    """The job that a data producer has under a name."""
    number = int(id_) if id_.isascii() and id_.isdigit() and len(id_) < 19 else 0
    job = await read.job(number, api=API, tenant=call.tenant) if number else None
    if job is not None and job.attributes.get("role") == ROLE and job.attributes.get("data_producer") == producer:
        if data_job and job.attributes.get("data_job") != data_job:
            raise job_unknown(id_)
        return job
    if await _known(read, call, producer):
        raise job_unknown(id_)
    raise unsupported(producer)


async def _queue(read: Reader, call: Call, producer: str, kind: str) -> str:
    """The queue of a data producer; raises Refused for one that takes no such jobs."""
    executor = await read.executor(API, call.tenant, producer)
    if executor is not None and executor.kind == PRODUCER:
        if not executor.enabled or not orjson.loads(executor.spec).get(kind, True):
            raise unsupported(producer)
        if executor.queue:
            return executor.queue
    queue = QUEUES + producer
    if len(queue) > LONGEST_QUEUE:
        longest = LONGEST_QUEUE - len(QUEUES)
        raise invalid("dataProducerId", f"has more than {longest} characters; give the data producer a queue")
    return queue


async def _known(read: Reader, call: Call, producer: str) -> bool:
    """Whether a data producer takes data jobs, as far as anybody knows."""
    executor = await read.executor(API, call.tenant, producer)
    if executor is not None and executor.kind == PRODUCER:
        return executor.enabled
    where = All((Comparison("data_producer", Op.EQ, producer), Comparison("role", Op.EQ, ROLE)))
    return bool(await read.jobs(JobQuery(API, call.tenant, where, limit=1)))


async def _keep(store: Store, intake: Intake) -> Stored | None:
    """Write a large request in pieces, for which nobody else has to wait."""
    if len(intake.body) <= LARGE:
        return None
    keeping = Keeping(store, f"payload/{uuid.uuid4()}")
    with memoryview(intake.body) as whole:
        for start in range(0, len(whole), LARGE):
            await keeping.add(whole[start : start + LARGE])
    return await keeping.end()


def _attributes(intake: Intake, *, reads: bool) -> Mapping[str, Attribute]:
    return {
        "role": ROLE,
        "data_kind": READ if reads else WRITE,
        "data_job": intake.job,
        "data_producer": intake.producer,
        "destination": intake.destination,
    }
