"""What is owed to DMI services: a part to be created, its status to be asked; to be used in any transaction."""

from __future__ import annotations

from typing import Final

import orjson

from jobyard_server.apis.ncmp.dmi_calls import cancel_url, create_url, status_url
from jobyard_server.apis.ncmp.nouns import API
from jobyard_server.apis.ncmp.parts import facts_of, job_facts, name_of
from jobyard_server.domain.delivery import Delivery, NewDelivery
from jobyard_server.domain.job import Job, Micros, Subjob
from jobyard_server.domain.state import State
from jobyard_server.usecases.ports import Tx

CREATE: Final = "create"
STATUS: Final = "status"
CANCEL: Final = "cancel"


def part_lane(job: Job, subjob: Subjob) -> str:
    """In which lane a part goes to its DMI service."""
    return f"{job.number}/{subjob.ordinal}"


def owe_part(tx: Tx, job: Job, subjob: Subjob, credential: str, *, claimed: bool = False) -> Delivery:
    """Hand a part to its DMI service."""
    facts, of_job = facts_of(subjob), job_facts(job)
    return tx.deliver(
        NewDelivery(
            api=API,
            tenant=job.tenant,
            kind=CREATE,
            address=create_url(facts.dmi, of_job.name, of_job.metadata.destination, facts.generation, read=of_job.read),
            facts=orjson.dumps({"part": subjob.ordinal}).decode(),
            job=job.number,
            lane=part_lane(job, subjob),
            credential=credential,
            claimed=claimed,
        )
    )


def owe_status(tx: Tx, job: Job, subjob: Subjob, credential: str, *, wait: float, pause: float) -> None:
    """Ask a DMI service how a part stands, after ``pause`` seconds; ``wait`` is what the next pause is made of.

    It has a channel of its own: it has to get through while large parts are on their way.
    """
    name = name_of(job, subjob)
    if name is None:
        return
    tx.deliver(
        NewDelivery(
            api=API,
            tenant=job.tenant,
            kind=STATUS,
            address=status_url(name),
            facts=orjson.dumps({"part": subjob.ordinal, "wait": wait}).decode(),
            job=job.number,
            lane=f"{job.number}/{subjob.ordinal}/status",
            channel="status",
            not_before=_later(tx.now, pause),
            credential=credential,
        )
    )


def owe_cancel(tx: Tx, job: Job, subjob: Subjob, credential: str = "") -> None:
    """Ask a DMI service to end a part, if it was handed over. Those that know of no such call go on."""
    name = name_of(job, subjob)
    if name is not None:
        tx.deliver(
            NewDelivery(
                api=API,
                tenant=job.tenant,
                kind=CANCEL,
                address=cancel_url(name),
                facts=orjson.dumps({"part": subjob.ordinal}).decode(),
                job=job.number,
                lane=part_lane(job, subjob),
                credential=credential,
            )
        )


def not_handed_over(subjob: Subjob) -> bool:
    """Whether a part waits to be handed to its DMI service."""
    return subjob.state is State.PENDING and subjob.result == "null"


def _later(now: Micros, seconds: float) -> Micros:
    return now + round(seconds * 1_000_000)
