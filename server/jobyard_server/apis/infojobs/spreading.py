"""What concerns all jobs of some types, done a page at a time: each step owes the next one, so none is forgotten."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Final

import orjson

from jobyard_server.apis.infojobs.lookup import Locked
from jobyard_server.apis.infojobs.nouns import API, live, put_at
from jobyard_server.apis.infojobs.owing import ON_REGISTRATION, ON_SUPERVISION, START, owe_spread, producer_lane
from jobyard_server.apis.infojobs.pieces import give, take_back
from jobyard_server.apis.infojobs.telling import accepted, look, piece_of
from jobyard_server.domain.filter import Comparison, Op
from jobyard_server.domain.job import Job, Micros
from jobyard_server.usecases.ports import JobQuery, Order, Tx

PAGE: Final = 50
"""Jobs in one transaction: it holds up all others."""

REGISTERED: Final = "registered"
LEFT: Final = "left"
ALIVE: Final = "alive"
TYPE_GONE: Final = "type gone"


@dataclass(frozen=True, slots=True)
class Spread:
    """A walk over the jobs of some types, in the order of their numbers."""

    why: str
    types: tuple[str, ...]
    producer: str = ""
    registration: str = ""
    """Of the producer: a walk on behalf of an older one ends."""
    after: int = 0
    at: Micros = 0
    """When the types were removed; jobs that were put later are of new types of these names."""


def spread(tx: Tx, tenant: str, walk: Spread) -> None:
    """Do the first page, and owe the rest."""
    if (rest := step(tx, tenant, walk)) is not None:
        owe_rest(tx, tenant, rest)


def owe_rest(tx: Tx, tenant: str, rest: Spread, at: Micros | None = None) -> None:
    """Owe what is left of a walk, at once or at a time."""
    owe_spread(tx, tenant, orjson.dumps(asdict(rest)).decode(), rest.producer or rest.types[0], at)


def step(tx: Tx, tenant: str, walk: Spread) -> Spread | None:
    """Do a page; what is left to do."""
    if not walk.types:
        return None
    jobs = _page(tx, tenant, walk)
    for job in jobs:
        _ACTIONS[walk.why](tx, job, walk)
    if len(jobs) == PAGE:
        return replace(walk, after=jobs[-1].number)
    return replace(walk, types=walk.types[1:], after=0) if len(walk.types) > 1 else None


def go_on(tx: Tx, tenant: str, facts: str) -> None:
    """Do the next page of a walk, unless its reason is gone."""
    said = orjson.loads(facts)
    walk = Spread(**{**said, "types": tuple(said["types"])})
    if walk.registration:
        producer = Locked(tx, tenant).producer(walk.producer)
        if producer is None or producer.registration != walk.registration:
            return
    spread(tx, tenant, walk)


def _page(tx: Tx, tenant: str, walk: Spread) -> list[Job]:
    # Those that everybody knows of need no look when a producer turns out to be alive.
    field = "unsettled" if walk.why == ALIVE else "definition"
    where = Comparison(field, Op.EQ, walk.types[0])
    query = JobQuery(API, tenant, where, order=(Order("number"),), after=(walk.after,), limit=PAGE)
    return list(tx.jobs(query))


def _start(tx: Tx, job: Job, walk: Spread) -> None:
    producer = Locked(tx, job.tenant).producer(walk.producer)
    if live(job) and producer is not None:
        give(tx, job, producer, ON_REGISTRATION)


def _leave(tx: Tx, job: Job, walk: Spread) -> None:
    if live(job) and walk.producer not in Locked(tx, job.tenant).suppliers(job.definition):
        take_back(tx, job, walk.producer)
        look(tx, job, tell=True)


def _look_after(tx: Tx, job: Job, walk: Spread) -> None:
    producer = Locked(tx, job.tenant).producer(walk.producer)
    if not live(job) or producer is None:
        return
    if accepted(piece_of(tx.subjobs(job.number), producer.id), job):
        look(tx, job, tell=True)
    elif not tx.sending(API, job.tenant, producer_lane(job, producer.id), START):
        give(tx, job, producer, ON_SUPERVISION)


def _remove(tx: Tx, job: Job, walk: Spread) -> None:
    if put_at(job) <= walk.at:
        tx.delete_job(job, by="")


_ACTIONS: Final = {REGISTERED: _start, LEFT: _leave, ALIVE: _look_after, TYPE_GONE: _remove}
