"""Look at deliveries, and send dead ones again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from jobyard_server.domain.delivery import DeliveryState
from jobyard_server.domain.paging import Cursor, fingerprint, open_page, page_size, seal_page
from jobyard_server.domain.reason import Reason, Refused, refuse

if TYPE_CHECKING:
    from jobyard_server.domain.delivery import Delivery
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Store, Tx

STEP: Final = 500
"""Most deliveries that one call sends again."""


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """One page of deliveries."""

    deliveries: tuple[Delivery, ...]
    next_page_token: str


async def get_delivery(store: Store, call: Call, uid: str) -> Delivery:
    """One delivery."""
    found = await store.read.delivery(uid)
    if found is None or not _sees(call, found):
        raise _unknown(uid)
    return found


async def list_deliveries(
    store: Store,
    call: Call,
    *,
    state: DeliveryState | None = None,
    api: str = "",
    job: int = 0,
    size: int = 0,
    token: str = "",
) -> DeliveryPage:
    """Deliveries, the newest first."""
    seen = api or call.seen_api
    bound_to = fingerprint("deliveries", seen, call.seen_tenant, state and state.value, job)
    after = open_page(store.signer, bound_to, token).after[0] if token else None
    wanted = page_size(size)
    found = await store.read.deliveries(
        tenant=call.seen_tenant,
        state=state,
        api=seen,
        job=job or None,
        after=after if isinstance(after, int) else None,
        limit=wanted + 1,
    )
    page = tuple(found[:wanted])
    more = seal_page(store.signer, bound_to, Cursor((page[-1].number,))) if len(found) > wanted else ""
    return DeliveryPage(page, more)


async def redrive_delivery(store: Store, call: Call, uid: str) -> Delivery:
    """Send a dead delivery again."""
    await get_delivery(store, call, uid)
    redriven = await store.run(lambda tx: tx.redrive(uid, call.seen_tenant))
    if redriven is None:
        raise _unknown(uid)
    return redriven


async def redrive_deliveries(store: Store, call: Call, *, api: str = "", job: int = 0) -> int:
    """Send a step of the dead deliveries again, the oldest first; how many."""
    dead = await store.read.deliveries(
        tenant=call.seen_tenant,
        state=DeliveryState.DEAD,
        api=api or call.seen_api,
        job=job or None,
        oldest_first=True,
        limit=STEP,
    )

    return await store.run(lambda tx: sum(_redrive(tx, one) for one in dead)) if dead else 0


def _redrive(tx: Tx, dead: Delivery) -> bool:
    """Whether a delivery that was dead a moment ago is owed again now."""
    try:
        return tx.redrive(dead.uid, dead.tenant) is not None
    except Refused:
        # Somebody else was faster.
        return False


def _sees(call: Call, delivery: Delivery) -> bool:
    return call.seen_api in {None, delivery.api} and call.seen_tenant in {None, delivery.tenant}


def _unknown(uid: str) -> Refused:
    return refuse(Reason.DELIVERY_NOT_FOUND, f"There is no delivery {uid!r}.", delivery=uid)
