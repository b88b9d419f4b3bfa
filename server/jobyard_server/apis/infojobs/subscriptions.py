"""Subscriptions to information types, the same for every face."""

from __future__ import annotations

import orjson

from jobyard.infojobs.v1 import info_subscription_pb2
from jobyard_server.apis.infojobs.nouns import API, SUBSCRIPTION
from jobyard_server.domain.catalog import Record
from jobyard_server.domain.reason import Reason, refuse
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.ports import Store, Tx

PAGE = 500


async def list_subscriptions(store: Store, call: Call, owner: str | None) -> list[str]:
    """Names of subscriptions."""
    found: list[Record] = []
    after: str | None = None
    while True:
        page = await store.read.records(API, call.tenant, SUBSCRIPTION, after=after, limit=PAGE)
        found += page
        if len(page) < PAGE:
            break
        after = page[-1].id
    return [one.id for one in found if owner is None or orjson.loads(one.body)["owner"] == owner]


async def get_subscription(store: Store, call: Call, id_: str) -> info_subscription_pb2.InfoTypeSubscription:
    """One subscription."""
    found = await store.read.record(API, call.tenant, SUBSCRIPTION, id_)
    if found is None:
        raise _unknown(id_)
    body = orjson.loads(found.body)
    return info_subscription_pb2.InfoTypeSubscription(
        status_result_uri=body["status_result_uri"], owner=body["owner"], id=id_
    )


async def put_subscription(store: Store, call: Call, id_: str, new: info_subscription_pb2.InfoTypeSubscription) -> bool:
    """Create or replace; whether it is new."""
    body = orjson.dumps({"status_result_uri": new.status_result_uri, "owner": new.owner}).decode()

    def put(tx: Tx) -> bool:
        before = tx.record(API, call.tenant, SUBSCRIPTION, id_)
        tx.put_record(API, call.tenant, SUBSCRIPTION, id_, body, by=call.user)
        return before is None

    return await store.run(put)


async def delete_subscription(store: Store, call: Call, id_: str) -> None:
    """Remove one."""
    if not await store.run(lambda tx: tx.delete_record(API, call.tenant, SUBSCRIPTION, id_)):
        raise _unknown(id_)


def _unknown(id_: str) -> Exception:
    return refuse(Reason.INFO_SUBSCRIPTION_NOT_FOUND, f"There is no subscription {id_!r}.", info_subscription=id_)
