"""Information jobs put, found and deleted, the same for every face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from jobyard_server.apis.infojobs.access import READ, WRITE, check_access
from jobyard_server.apis.infojobs.lookup import Locked, Reading
from jobyard_server.apis.infojobs.naming import same_kind
from jobyard_server.apis.infojobs.nouns import (
    API,
    DMS,
    ENABLED,
    ICS,
    PUT_AT,
    QUEUE,
    InfoType,
    JobFacts,
    info_type,
    job_facts,
    live,
)
from jobyard_server.apis.infojobs.owing import ON_PUT
from jobyard_server.apis.infojobs.pieces import give
from jobyard_server.apis.infojobs.schema import check_definition, parsed
from jobyard_server.apis.infojobs.telling import REPORTED, UNSETTLED
from jobyard_server.apis.infojobs.uris import check_uri, segment
from jobyard_server.apis.registration import Options
from jobyard_server.domain.delivery import Delivery
from jobyard_server.domain.event import EventType
from jobyard_server.domain.filter import All, Comparison, Expression, Op
from jobyard_server.domain.job import Attribute, Job, NewJob, NewSubjob
from jobyard_server.domain.reason import Reason, refuse
from jobyard_server.domain.state import Mode, State
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.deliver_now import deliver_now
from jobyard_server.usecases.finding import job_unknown
from jobyard_server.usecases.ports import JobQuery, Order, Reader, Store, Tx

LEGACY_TYPE_CHECK: Final = "ics-legacy-type-check"
"""Profile: a type is looked at only when the request says so, as ICS did from 2021 to 2022."""
SILENT_START: Final = "ics-silent-start"
"""Profile: a job counts as ENABLED to its consumer from the start, so that he is not told when it becomes so."""

PAGE: Final = 1000
LIVE: Final = Comparison("state", Op.IN, (State.PENDING.value, State.RUNNING.value, State.SUSPENDED.value))


@dataclass(frozen=True, slots=True)
class WantedJob:
    """A job as it is put."""

    id: str
    type: str
    owner: str
    definition: str
    face: str
    result_uri: str = ""
    status_uri: str = ""
    type_check: bool = False
    exact: bool = False
    """Whether no other version of the type will do."""
    authorization: str = ""
    host: str = ""


class Jobs:
    """The jobs of the faces."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options

    async def put(self, call: Call, wanted: WantedJob) -> bool:
        """Create or update a job, and wait a little for its producers; whether it is new."""
        type_, found = await self._resolve(call, wanted)
        await check_access(self._options, WRITE, type_, wanted.definition, wanted.authorization)
        if found is None or self._lenient(wanted):
            parsed(wanted.definition)
        else:
            check_definition(found.schema, wanted.definition)
        check_uri("status_notification_uri", wanted.status_uri)
        check_uri("job_result_uri", wanted.result_uri)
        if wanted.face == DMS and wanted.type_check:
            await self._check_producers(call, type_)
        facts = JobFacts(
            wanted.definition, wanted.face, wanted.result_uri, wanted.status_uri, self._target(found, wanted)
        )
        created, owed = await self._store.run(
            lambda tx: self._write(tx, call, wanted, type_, facts), size=len(wanted.definition)
        )
        await deliver_now(self._options.deliverer, owed, self._options.delivery_wait_seconds)
        return created

    async def get(self, call: Call, id_: str, authorization: str = "") -> tuple[Job, JobFacts]:
        """One job, if the caller may read it."""
        job = await self.find(call, id_)
        facts = job_facts(job)
        await check_access(self._options, READ, job.definition, facts.definition, authorization)
        return job, facts

    async def find(self, call: Call, id_: str) -> Job:
        """One job."""
        job = await self._find(call, id_)
        if job is None:
            raise job_unknown(id_)
        return job

    async def delete(self, call: Call, id_: str, authorization: str) -> None:
        """Delete one job and tell its producers."""
        await self._delete(call, await self.find(call, id_), authorization)

    async def delete_of(self, call: Call, owner: str, authorization: str) -> None:
        """Delete the jobs of an owner one by one, as far as the caller may."""
        for job in await live_jobs(self._store.read, call.tenant, Comparison("owner", Op.EQ, owner)):
            await self._delete(call, job, authorization)

    async def ids(self, call: Call, type_: str | None, owner: str | None) -> list[str]:
        """The jobs of a type and an owner."""
        where = [
            Comparison(name, Op.EQ, value)
            for name, value in (("definition", type_), ("owner", owner))
            if value is not None
        ]
        jobs = await live_jobs(self._store.read, call.tenant, *where)
        return [job.external_id or "" for job in jobs]

    async def _find(self, call: Call, id_: str) -> Job | None:
        job = await self._store.read.job(id_, api=API, tenant=call.tenant)
        return job if job is not None and live(job) and job.external_id == id_ else None

    async def _delete(self, call: Call, job: Job, authorization: str) -> None:
        facts = job_facts(job)
        await check_access(self._options, WRITE, job.definition, facts.definition, authorization)

        def delete(tx: Tx) -> None:
            found = tx.job(job.number, api=API, tenant=call.tenant)
            if found is not None:
                tx.delete_job(found, by=call.user, request_id=call.request_id)

        await self._store.run(delete)

    async def _resolve(self, call: Call, wanted: WantedJob) -> tuple[str, InfoType | None]:
        """The type that the job is of, and stays of; nothing is known of one that need not exist."""
        read = Reading(self._store.read, call.tenant)
        found = await (read.exact_type(wanted.type) if wanted.exact else read.type(wanted.type))
        if found is None and not self._lenient(wanted):
            raise _type_unknown(wanted.type)
        type_ = wanted.type if found is None else found.id
        before = None if wanted.exact else await self._find(call, wanted.id)
        if before is not None and before.definition != type_ and same_kind(before.definition, type_):
            type_ = before.definition
            found = await read.exact_type(type_)
        return type_, None if found is None else info_type(found)

    def _lenient(self, wanted: WantedJob) -> bool:
        """Whether the type need not exist, nor the definition fit it."""
        return LEGACY_TYPE_CHECK in self._options.profiles and wanted.face == ICS and not wanted.type_check

    async def _check_producers(self, call: Call, type_: str) -> None:
        reading = Reading(self._store.read, call.tenant)
        for producer in await reading.suppliers(type_):
            if await reading.alive(producer):
                return
        raise refuse(
            Reason.INFO_PRODUCER_INACTIVE, f"No producer of information type {type_} is active.", info_type=type_
        )

    def _target(self, found: InfoType | None, wanted: WantedJob) -> str:
        """Where producers are told to send the data."""
        if found is None or not found.collectable:
            return wanted.result_uri
        base = self._options.public_url.rstrip("/") or f"http://{wanted.host}"
        return f"{base}/dms/v0alpha1/job_results/{segment(wanted.id)}"

    def _write(
        self, tx: Tx, call: Call, wanted: WantedJob, type_: str, facts: JobFacts
    ) -> tuple[bool, Sequence[Delivery]]:
        before = tx.job(wanted.id, api=API, tenant=call.tenant)
        if before is not None and before.external_id != wanted.id:
            before = None
        if before is not None and not live(before):
            # Cancelled through another API: its history gives way to the new job.
            tx.delete_job(before, by=call.user, request_id=call.request_id)
            before = None
        found = Locked(tx, call.tenant)
        if not self._lenient(wanted) and found.exact_type(type_) is None:
            raise _type_unknown(wanted.type)
        if before is not None and before.definition != type_:
            raise refuse(
                Reason.JOB_TYPE_CHANGED, "A job cannot change its type.", job=wanted.id, info_type=before.definition
            )
        suppliers = found.suppliers(type_)
        job = (
            self._submit(tx, call, wanted, type_, facts, suppliers)
            if before is None
            else self._update(tx, call, wanted, before, facts)
        )
        producers = [producer for id_ in suppliers if (producer := found.producer(id_)) is not None]
        return before is None, [give(tx, job, producer, ON_PUT) for producer in producers]

    def _submit(
        self, tx: Tx, call: Call, wanted: WantedJob, type_: str, facts: JobFacts, suppliers: Sequence[str]
    ) -> Job:
        known = {REPORTED: ENABLED} if SILENT_START in self._options.profiles else {}
        attributes: dict[str, Attribute] = {"owner": wanted.owner, PUT_AT: tx.now, UNSETTLED: type_, **known}
        new = NewJob(
            api=API,
            tenant=call.tenant,
            actor=call.user,
            mode=Mode.STANDING,
            external_id=wanted.id,
            definition=type_,
            queue=QUEUE,
            fair_key=call.user,
            spec=facts.spec,
            attributes=attributes,
            subjobs=tuple(NewSubjob(key=one) for one in suppliers),
            request_id=call.request_id,
        )
        return tx.submit(new).job

    def _update(self, tx: Tx, call: Call, wanted: WantedJob, before: Job, facts: JobFacts) -> Job:
        return tx.change_job(
            before,
            spec=facts.spec,
            attributes={**before.attributes, "owner": wanted.owner, PUT_AT: tx.now, UNSETTLED: before.definition},
            generation=before.generation + 1,
            event=EventType.JOB_UPDATED,
            by=call.user,
            request_id=call.request_id,
        )


async def live_jobs(read: Reader, tenant: str, *where: Expression) -> list[Job]:
    """The jobs that are there for clients and meet conditions."""
    found: list[Job] = []
    after: tuple[Attribute, ...] | None = None
    while True:
        query = JobQuery(API, tenant, All((*where, LIVE)), order=(Order("number"),), after=after, limit=PAGE)
        page = await read.jobs(query)
        found += page
        if len(page) < PAGE:
            return found
        after = (page[-1].number,)


async def count_live(read: Reader, tenant: str) -> int:
    """How many jobs are there for clients."""
    return await read.count_jobs(JobQuery(API, tenant, LIVE))


def _type_unknown(type_: str) -> Exception:
    return refuse(Reason.INFO_TYPE_REFERENCE_UNKNOWN, f"There is no information type {type_!r}.", info_type=type_)
