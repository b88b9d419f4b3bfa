"""Put, get, list and delete records: whatever else an API owns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from jobyard_server.domain.paging import Cursor, fingerprint, open_page, page_size, seal_page
from jobyard_server.domain.reason import Reason, refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jobyard_server.domain.catalog import Record
    from jobyard_server.domain.job import Attribute
    from jobyard_server.domain.reason import Refused
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Store, Tx


Follow: TypeAlias = "Callable[[Tx, Record | None, Record | None], None]"
"""Takes a record before and after a change."""


@dataclass(frozen=True, slots=True)
class RecordPage:
    """One page of records."""

    records: tuple[Record, ...]
    next_page_token: str


async def put_record(
    store: Store,
    call: Call,
    kind: str,
    id_: str,
    body: str,
    *,
    api: str = "",
    attributes: Mapping[str, Attribute] | None = None,
    follow: Follow | None = None,
) -> Record:
    """Create or replace a record of an API, by default that of the call; ``follow`` does what follows from it."""
    owner = api or call.api

    def put(tx: Tx) -> Record:
        before = tx.record(owner, call.tenant, kind, id_) if follow is not None else None
        after = tx.put_record(owner, call.tenant, kind, id_, body, attributes=attributes, by=call.user)
        if follow is not None:
            follow(tx, before, after)
        return after

    return await store.run(put)


async def get_record(store: Store, call: Call, kind: str, id_: str, *, api: str = "") -> Record:
    """One record."""
    found = await store.read.record(api or call.api, call.tenant, kind, id_)
    if found is None:
        raise _unknown(kind, id_)
    return found


async def list_records(
    store: Store, call: Call, kind: str, *, api: str = "", size: int = 0, token: str = ""
) -> RecordPage:
    """Records of a kind by their identifiers, those of the caller's tenant."""
    seen = api or call.api
    bound_to = fingerprint("records", seen, call.tenant, kind)
    after = str(open_page(store.signer, bound_to, token).after[0]) if token else None
    wanted = page_size(size)
    found = await store.read.records(seen, call.tenant, kind, after=after, limit=wanted + 1)
    page = tuple(found[:wanted])
    more = seal_page(store.signer, bound_to, Cursor((page[-1].id,))) if len(found) > wanted else ""
    return RecordPage(page, more)


async def delete_record(
    store: Store, call: Call, kind: str, id_: str, *, api: str = "", follow: Follow | None = None
) -> None:
    """Remove one; ``follow`` does what follows from that."""
    owner = api or call.api

    def delete(tx: Tx) -> bool:
        before = tx.record(owner, call.tenant, kind, id_) if follow is not None else None
        if before is not None and follow is not None:
            follow(tx, before, None)
        return tx.delete_record(owner, call.tenant, kind, id_)

    if not await store.run(delete):
        raise _unknown(kind, id_)


def _unknown(kind: str, id_: str) -> Refused:
    return refuse(Reason.RECORD_NOT_FOUND, f"There is no {kind} {id_!r}.", record=id_)
