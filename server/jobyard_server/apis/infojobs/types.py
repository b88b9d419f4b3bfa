"""Information types put, found and removed, and the subscribers who are told of it."""

from __future__ import annotations

from functools import partial

import orjson

from jobyard.infojobs.v1 import info_type_pb2
from jobyard_server.apis.infojobs.lookup import Locked, Reading
from jobyard_server.apis.infojobs.nouns import API, QUEUE, SUBSCRIPTION, TYPE, InfoType, info_type
from jobyard_server.apis.infojobs.owing import callable_url, owe_type_notice
from jobyard_server.apis.infojobs.schema import check_schema
from jobyard_server.apis.infojobs.spreading import TYPE_GONE, Spread, owe_rest, step
from jobyard_server.domain.catalog import NewDefinition, Queue, QueueStatus
from jobyard_server.domain.reason import Reason, invalid, refuse
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.ports import Store, Tx

AVAILABILITY = {True: info_type_pb2.AVAILABILITY_ENABLED, False: info_type_pb2.AVAILABILITY_DISABLED}
PAGE = 500
NET_AFTER = 10_000_000
"""After so many microseconds the jobs of a removed type go that its removal did not come to."""


async def put_type(store: Store, call: Call, new: InfoType) -> bool:
    """Register a type; whether it is new. Subscribers are told."""
    if not new.schema or new.schema == "null":
        raise invalid("info_job_data_schema", "No schema provided")
    check_schema(new.schema)

    def put(tx: Tx) -> bool:
        before = tx.definition(API, call.tenant, new.id)
        tx.put_definition(
            NewDefinition(
                api=API, tenant=call.tenant, actor=call.user, id=new.id, kind=TYPE, queue=QUEUE, spec=new.spec
            )
        )
        if before is None:
            # Pieces of jobs wait there for producers, not for workers.
            tx.put_queue(Queue(QUEUE, status=QueueStatus.DISABLED))
        _tell(tx, call.tenant, new, "REGISTERED")
        return before is None

    return await store.run(put, size=len(new.spec))


async def get_type(store: Store, call: Call, id_: str) -> InfoType:
    """One type, by its exact name."""
    found = await store.read.definition(API, call.tenant, id_)
    if found is None:
        raise _unknown(id_)
    return info_type(found)


async def consumer_type(store: Store, call: Call, id_: str) -> info_type_pb2.ConsumerInformationType:
    """A type as consumers see it."""
    found = await get_type(store, call, id_)
    reading = Reading(store.read, call.tenant)
    suppliers = await reading.suppliers(id_)
    alive = [one for one in suppliers if await reading.alive(one)]
    return info_type_pb2.ConsumerInformationType(
        job_data_schema=found.schema, type_status=AVAILABILITY[bool(alive)], no_of_producers=len(suppliers)
    )


async def delete_type(store: Store, call: Call, id_: str) -> None:
    """Remove a type that nobody supplies, and its jobs, a page at a time."""

    def delete(tx: Tx) -> Spread | None:
        found = tx.definition(API, call.tenant, id_)
        if found is None:
            raise _unknown(id_)
        suppliers = Locked(tx, call.tenant).suppliers(id_)
        if suppliers:
            raise refuse(
                Reason.INFO_TYPE_IN_USE,
                f"Information type {id_} has producers.",
                info_type=id_,
                info_producer=suppliers[0],
            )
        tx.delete_definition(API, call.tenant, id_)
        _tell(tx, call.tenant, info_type(found), "DEREGISTERED")
        rest = step(tx, call.tenant, Spread(TYPE_GONE, (id_,), at=tx.now))
        if rest is not None:
            # This call does it first, unless it is cut off.
            owe_rest(tx, call.tenant, rest, tx.now + NET_AFTER)
        return rest

    rest = await store.run(delete)
    while rest is not None:
        rest = await store.run(partial(step, tenant=call.tenant, walk=rest))


def _tell(tx: Tx, tenant: str, found: InfoType, status: str) -> None:
    """Owe every subscriber the news; one whose address cannot be called is forgotten, as if it had failed."""
    after = ""
    while True:
        page = tx.records(API, tenant, SUBSCRIPTION, after=after, limit=PAGE)
        for record in page:
            url = orjson.loads(record.body)["status_result_uri"]
            if callable_url(url):
                owe_type_notice(tx, tenant, record.id, url, found, status)
            else:
                tx.delete_record(API, tenant, SUBSCRIPTION, record.id)
        if len(page) < PAGE:
            return
        after = page[-1].id


def _unknown(id_: str) -> Exception:
    return refuse(Reason.INFO_TYPE_NOT_FOUND, f"There is no information type {id_!r}.", info_type=id_)
