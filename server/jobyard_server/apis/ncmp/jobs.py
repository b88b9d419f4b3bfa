"""Data jobs made, found, listed and cancelled, the same for every role that makes them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final

from jobyard_server.apis.ncmp.dmi_calls import FIRST, SECOND, head
from jobyard_server.apis.ncmp.nouns import API, QUEUE
from jobyard_server.apis.ncmp.owing import not_handed_over, owe_part
from jobyard_server.apis.ncmp.parts import JobFacts, PartFacts, news_of
from jobyard_server.apis.ncmp.preparing import Prepared, Steps, make_parts
from jobyard_server.apis.ncmp.requests import Metadata
from jobyard_server.apis.ncmp.routing import ProducerKey
from jobyard_server.apis.ncmp.splitting import Splitter
from jobyard_server.apis.registration import DmiRules, Options
from jobyard_server.domain.delivery import Delivery
from jobyard_server.domain.filter import All, Comparison, Op
from jobyard_server.domain.job import IdempotencyKey, Job, NewJob, NewSubjob, Subjob
from jobyard_server.domain.reason import Reason, Refused
from jobyard_server.domain.state import State
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.credentials import seal_credential
from jobyard_server.usecases.deliver_now import deliver_now
from jobyard_server.usecases.finding import job_unknown
from jobyard_server.usecases.ports import JobQuery, Reader, Store, Submitted, Tx

CREDENTIAL_SECONDS: Final = 3600
"""For so long a token of a caller is shown to DMI services."""
LOOK_SECONDS: Final = 0.1
"""Between two looks at parts that another request hands over."""
MOST_SAME: Final = 1000
"""Jobs of one name."""
RAPP: Final = "rapp"
NCMP: Final = "ncmp"
ROLES: Final = frozenset({RAPP, NCMP})
"""Whose jobs are split; those of DMI services are others."""
_AGAIN: Final = frozenset({State.FAILED, State.CANCELLED})
_WAITING: Final = 8 * 1024 * 1024
"""What a transaction counts for at the most while it waits: a single job is never too large."""


@dataclass(slots=True)
class Wanted:
    """A job as it is asked for. While its operations still come, not all of it is known."""

    name: str
    steps: Steps
    """Its operations, some at a time."""
    field: str
    """What clients call the operations."""
    role: str
    metadata: Metadata
    """Known with the first step."""
    digest: str = ""
    """Of all that was asked: the same again is the same job. Known behind the last step."""
    read: bool = False
    wait: bool = False
    """Whether :meth:`DataJobs.hand_over` follows at once."""
    authorization: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A job that is stored."""

    job: Job
    owed: Sequence[Delivery]
    """What hands its parts over."""


class DataJobs:
    """The jobs of the roles rApp and NCMP."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options

    @property
    def _rules(self) -> DmiRules:
        return self._options.dmi

    async def accept(self, call: Call, wanted: Wanted) -> Accepted:
        """Split a job and store it with its parts, which are then on their way to their DMI services."""
        splitter = Splitter(lambda key: self._head(key, wanted), wanted.field, read=wanted.read)
        prepared = await make_parts(self._store, call.tenant, wanted.steps, splitter)
        credential = await self._sealed(wanted.authorization)
        size = min(_WAITING, sum(len(part.rest) for part in prepared))
        return await self._store.run(lambda tx: self._write(tx, call, wanted, prepared, credential), size=size)

    async def hand_over(self, accepted: Accepted) -> Sequence[Subjob]:
        """Wait until the DMI services have answered, but not for long; the parts as they are then."""
        end = monotonic() + self._rules.wait_seconds
        await deliver_now(self._options.deliverer, accepted.owed, self._rules.wait_seconds)
        pieces = await pieces_of(self._store.read, accepted.job)
        if not accepted.owed:
            # The same request is here already, or was, and hands them over.
            while any(map(not_handed_over, pieces)) and monotonic() < end and not self._store.ending:
                await asyncio.sleep(LOOK_SECONDS)
                pieces = await pieces_of(self._store.read, accepted.job)
        return pieces

    async def find(self, call: Call, name: str) -> Job:
        """The newest job of a name."""
        return (await self.named(call, name, most=1))[0]

    async def named(self, call: Call, name: str, most: int = MOST_SAME) -> Sequence[Job]:
        """The jobs of a name, the newest first; at least one."""
        where = All((Comparison("display_name", Op.EQ, name), Comparison("role", Op.IN, tuple(sorted(ROLES)))))
        found = await self._store.read.jobs(JobQuery(API, call.tenant, where, limit=most))
        if not found:
            raise job_unknown(name)
        return found

    def _head(self, key: ProducerKey, wanted: Wanted) -> bytes:
        return head(wanted.metadata, key.producer, wanted.name, self._generation(key.dmi))

    def _generation(self, dmi: str) -> int:
        return FIRST if dmi in self._rules.first_generation else SECOND

    async def _sealed(self, authorization: str) -> str:
        """The token of the caller, if DMI services are to see it, as it is kept until then."""
        bearer = authorization[:7].lower() == "bearer "
        if not bearer or not self._rules.forward_bearer or self._rules.basic():
            return ""
        expires_at = await self._store.read.now() + CREDENTIAL_SECONDS * 1_000_000
        return seal_credential(self._store.signer, authorization, expires_at)

    def _write(self, tx: Tx, call: Call, wanted: Wanted, prepared: Sequence[Prepared], credential: str) -> Accepted:
        submitted = self._submit(tx, call, wanted, prepared)
        job = submitted.job
        if submitted.replayed:
            return Accepted(job, [])
        for part in prepared:
            part.keep(tx, job.number)
        pieces = tx.subjobs(job.number)
        # Those that nobody waits for leave in the background.
        return Accepted(job, [owe_part(tx, job, piece, credential, claimed=wanted.wait) for piece in pieces])

    def _submit(self, tx: Tx, call: Call, wanted: Wanted, prepared: Sequence[Prepared]) -> Submitted:
        """Submit under the name of the job, or, as names need not be the only ones, under the next that is free."""
        pieces = tuple(self._piece(part) for part in prepared)
        key, number = f"{wanted.name}\n{wanted.digest}", 1
        while True:
            name = wanted.name if number == 1 else f"{wanted.name}~{number}"
            try:
                submitted = tx.submit(_new_job(call, wanted, name, key, pieces))
            except Refused as refused:
                if refused.refusal.reason is not Reason.ALREADY_EXISTS or number == MOST_SAME:
                    raise
                number += 1
                continue
            if not submitted.replayed or submitted.job.state not in _AGAIN:
                return submitted
            # What failed or was cancelled as a whole is asked for again.
            key += f"\n{submitted.job.uid}"

    def _piece(self, part: Prepared) -> NewSubjob:
        dmi, producer = part.key
        facts = PartFacts(dmi, producer, part.operations, part.body, self._generation(dmi))
        return NewSubjob(facts.payload, key=str(part.key))


def _new_job(call: Call, wanted: Wanted, name: str, key: str, pieces: tuple[NewSubjob, ...]) -> NewJob:
    return NewJob(
        api=API,
        tenant=call.tenant,
        actor=call.user,
        external_id=name,
        key=IdempotencyKey(key, wanted.digest, lifetime=None),
        queue=QUEUE,
        fair_key=call.user,
        display_name=wanted.name,
        spec=JobFacts(wanted.name, wanted.read, wanted.metadata).spec,
        attributes={"destination": wanted.metadata.destination, "role": wanted.role},
        subjobs=pieces,
        request_id=call.request_id,
    )


async def pieces_of(read: Reader, job: Job) -> list[Subjob]:
    """All parts of a job."""
    found: list[Subjob] = []
    while page := await read.subjobs(job.number, after=found[-1].ordinal if found else -1):
        found += page
        if len(found) >= job.counters.total:
            break
    return found


def refused_by_all(pieces: Sequence[Subjob]) -> Subjob | None:
    """The first part of a job none of whose parts was handed over, because their DMI services refused all of them."""
    if pieces and all(piece.state is State.FAILED and not news_of(piece).id for piece in pieces):
        return pieces[0]
    return None
