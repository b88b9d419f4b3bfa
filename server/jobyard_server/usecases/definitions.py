"""Put, get, list and delete definitions: what can be run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobyard_server.domain.paging import Cursor, fingerprint, open_page, page_size, seal_page
from jobyard_server.domain.reason import Reason, refuse

if TYPE_CHECKING:
    from jobyard_server.domain.catalog import Definition, NewDefinition
    from jobyard_server.domain.reason import Refused
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Store


@dataclass(frozen=True, slots=True)
class DefinitionPage:
    """One page of definitions."""

    definitions: tuple[Definition, ...]
    next_page_token: str


async def put_definition(store: Store, definition: NewDefinition) -> Definition:
    """Create or replace; the edge fills in tenant and actor from the caller."""
    return await store.run(lambda tx: tx.put_definition(definition))


async def get_definition(store: Store, call: Call, id_: str, *, api: str = "", version: int = 0) -> Definition:
    """One definition of an API (by default that of the call); version 0 is the newest."""
    found = await store.read.definition(api or call.api, call.tenant, id_, version)
    if found is None:
        raise _unknown(id_)
    return found


async def list_definitions(
    store: Store, call: Call, *, api: str | None = None, size: int = 0, token: str = ""
) -> DefinitionPage:
    """Definitions of an API, or of all that the caller sees, by their identifiers."""
    seen = api or call.seen_api
    bound_to = fingerprint("definitions", seen, call.seen_tenant)
    after = open_page(store.signer, bound_to, token).after if token else None
    wanted = page_size(size)
    found = await store.read.definitions(
        seen, call.seen_tenant, after=after, limit=wanted + 1  # type: ignore[arg-type] # sealed below
    )  # fmt: skip
    page = tuple(found[:wanted])
    more = ""
    if len(found) > wanted:
        last = page[-1]
        more = seal_page(store.signer, bound_to, Cursor((last.api, last.tenant, last.id, last.version)))
    return DefinitionPage(page, more)


async def delete_definition(store: Store, call: Call, id_: str, *, api: str = "", version: int = 0) -> None:
    """Remove one; its jobs keep what they took from it."""
    if not await store.run(lambda tx: tx.delete_definition(api or call.api, call.tenant, id_, version)):
        raise _unknown(id_)


def _unknown(id_: str) -> Refused:
    return refuse(Reason.DEFINITION_NOT_FOUND, f"There is no definition {id_!r}.", definition=id_)
