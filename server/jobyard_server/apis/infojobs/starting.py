"""What a server does when it begins: producers that were alive when it ended may not be any more."""

from __future__ import annotations

from functools import partial
from typing import Final

from jobyard_server.apis.infojobs.jobs import LIVE
from jobyard_server.apis.infojobs.lookup import Locked
from jobyard_server.apis.infojobs.nouns import API
from jobyard_server.apis.infojobs.pieces import take_back
from jobyard_server.apis.infojobs.producers import drop, look_after_all
from jobyard_server.apis.infojobs.telling import forget
from jobyard_server.apis.registration import Options
from jobyard_server.domain.job import Attribute
from jobyard_server.usecases.ports import JobQuery, Order, Store, Tx

FORGETFUL: Final = "ics-forgetful"
"""Profile: a server that begins knows no producers, and not what consumers were told, as of ICS. For one server alone:
every further one that begins on the same database forgets them for all."""

PAGE: Final = 200
JOBS: Final = 50
"""Jobs in one transaction: it holds up all others."""


async def begin(store: Store, options: Options) -> None:
    """Look after every producer at once, or forget them all."""
    forgetful = FORGETFUL in options.profiles
    act = _forget_producers if forgetful else look_after_all
    after: tuple[str, str, str] | None = None
    while True:
        page = await store.read.executors(API, None, after=after, limit=PAGE)
        for tenant in sorted({one.tenant for one in page}):
            ids = [one.id for one in page if one.tenant == tenant]
            await store.run(partial(act, tenant=tenant, ids=ids))
        if len(page) < PAGE:
            break
        after = (API, page[-1].tenant, page[-1].id)
    if forgetful:
        await _reset_jobs(store)


async def _reset_jobs(store: Store) -> None:
    """Take every job back from its producers, a page at a time; nobody is told."""
    after: tuple[Attribute, ...] | None = None
    while True:
        query = JobQuery(API, None, LIVE, order=(Order("number"),), after=after, limit=JOBS)
        page = await store.read.jobs(query)
        await store.run(partial(_reset, numbers=[job.number for job in page]))
        if len(page) < JOBS:
            return
        after = (page[-1].number,)


def _forget_producers(tx: Tx, tenant: str, ids: list[str]) -> None:
    found = Locked(tx, tenant)
    for id_ in ids:
        producer = found.producer(id_)
        if producer is not None:
            drop(tx, tenant, producer)


def _reset(tx: Tx, numbers: list[int]) -> None:
    for number in numbers:
        job = tx.job(number, api=API, tenant=None)
        if job is None:
            continue
        for piece in tx.subjobs(number):
            take_back(tx, job, piece.key)
        forget(tx, job)
