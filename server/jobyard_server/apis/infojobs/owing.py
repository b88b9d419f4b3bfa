"""What is owed to producers and consumers: one function for each kind of call, to be used in any transaction."""

from __future__ import annotations

from typing import Final

import orjson

from jobyard_server.apis.infojobs.nouns import API, InfoType, JobFacts, Producer
from jobyard_server.apis.infojobs.uris import segment
from jobyard_server.domain.address import destination_of
from jobyard_server.domain.delivery import Delivery, NewDelivery, Ordering
from jobyard_server.domain.job import Job, Micros
from jobyard_server.domain.json_text import member
from jobyard_server.usecases.ports import Tx

START: Final = "start"
STOP: Final = "stop"
STATUS: Final = "status"
TYPE_NOTICE: Final = "type"
SUPERVISE: Final = "supervise"
SPREAD: Final = "spread"
RESULT: Final = "result"

ON_PUT: Final = "put"
ON_REGISTRATION: Final = "registration"
ON_SUPERVISION: Final = "supervision"

NOWHERE: Final = "http://infojobs.invalid/"
"""The address of what is owed to nobody outside: work that is done step by step, and survives a crash."""


def owe_start(tx: Tx, job: Job, producer: Producer, policy: str) -> Delivery:
    """Post a job to a producer, in place of an older post that has not left."""
    return tx.deliver(
        NewDelivery(
            api=API,
            tenant=job.tenant,
            kind=START,
            address=producer.job_url,
            facts=_facts(producer=producer.id, generation=job.generation),
            job=job.number,
            ordering=Ordering.LATEST,
            lane=producer_lane(job, producer.id),
            channel=producer.id,
            policy=policy,
            claimed=policy == ON_PUT,
        )
    )


def owe_stop(tx: Tx, job: Job, producer: Producer) -> None:
    """Tell a producer that a job is over, after everything it was told of the job before."""
    lane = producer_lane(job, producer.id)
    tx.withdraw(API, job.tenant, lane, frozenset({START}))
    tx.deliver(
        NewDelivery(
            api=API,
            tenant=job.tenant,
            kind=STOP,
            address=f"{producer.job_url}/{segment(job.external_id or '')}",
            job=job.number,
            lane=lane,
            channel=producer.id,
        )
    )


def owe_status(tx: Tx, job: Job, facts: JobFacts, status: str) -> bool:
    """Tell a consumer the status of a job, if there is somebody to tell."""
    if not callable_url(facts.status_uri):
        return False
    tx.deliver(
        NewDelivery(
            api=API,
            tenant=job.tenant,
            kind=STATUS,
            address=facts.status_uri,
            facts=_facts(status=status, face=facts.face),
            job=job.number,
            ordering=Ordering.LATEST,
            lane=status_lane(job),
        )
    )
    return True


def owe_result(tx: Tx, job: Job, facts: JobFacts, data: str) -> None:
    """Hand a result to a consumer."""
    if callable_url(facts.result_uri):
        tx.deliver(
            NewDelivery(
                api=API,
                tenant=job.tenant,
                kind=RESULT,
                address=facts.result_uri,
                facts=f'{{"data":{data}}}',
                job=job.number,
                lane=f"{job.external_id}\nresult",
            )
        )


def owe_type_notice(tx: Tx, tenant: str, subscription: str, url: str, found: InfoType, status: str) -> None:
    """Tell a subscriber what became of a type."""
    words = _facts(subscription=subscription, type=found.id, status=status)
    tx.deliver(
        NewDelivery(
            api=API,
            tenant=tenant,
            kind=TYPE_NOTICE,
            address=url,
            facts=f'{words[:-1]},"schema":{found.schema}}}',
            lane=f"subscription\n{subscription}",
        )
    )


def owe_supervision(tx: Tx, tenant: str, producer: Producer, at: Micros | None) -> None:
    """Look after a producer at a time, in place of a later one."""
    tx.deliver(
        NewDelivery(
            api=API,
            tenant=tenant,
            kind=SUPERVISE,
            address=producer.check_url or NOWHERE,
            facts=_facts(producer=producer.id, registration=producer.registration),
            ordering=Ordering.LATEST,
            lane=f"supervision\n{producer.id}",
            channel=f"{producer.id} supervision",
            not_before=at,
        )
    )


def owe_spread(tx: Tx, tenant: str, facts: str, lane: str, at: Micros | None) -> None:
    """Go on with work that is too much for one transaction, at once or at a time."""
    tx.deliver(
        NewDelivery(
            api=API,
            tenant=tenant,
            kind=SPREAD,
            address=NOWHERE,
            facts=facts,
            lane=f"spread\n{lane}",
            not_before=at,
        )
    )


def producer_lane(job: Job, producer: str) -> str:
    """What a producer is told of jobs of one name leaves in order, whatever becomes of the job in between."""
    return f"{len(producer)}:{producer}:{job.external_id}"


def status_lane(job: Job) -> str:
    """What consumers are told of a job leaves in order."""
    return f"{job.external_id}\nstatus"


def callable_url(address: str) -> bool:
    """Whether an address can be called at all."""
    try:
        destination_of(address)
    except ValueError:
        return False
    return True


def schema_of(facts: str) -> str:
    """The schema among the facts of a type notice, byte for byte."""
    return member(facts, "schema") or "{}"


def _facts(**words: str | int) -> str:
    return orjson.dumps(words).decode()
