"""Put, get, list and delete executors: who can run something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobyard_server.domain.paging import Cursor, fingerprint, open_page, page_size, seal_page
from jobyard_server.domain.reason import Reason, refuse

if TYPE_CHECKING:
    from jobyard_server.domain.catalog import Executor, NewExecutor
    from jobyard_server.domain.reason import Refused
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Store


@dataclass(frozen=True, slots=True)
class ExecutorPage:
    """One page of executors."""

    executors: tuple[Executor, ...]
    next_page_token: str


async def put_executor(store: Store, executor: NewExecutor) -> Executor:
    """Create or replace; the edge fills in tenant and actor from the caller."""
    return await store.run(lambda tx: tx.put_executor(executor))


async def get_executor(store: Store, call: Call, id_: str, *, api: str = "") -> Executor:
    """One executor of an API, by default that of the call."""
    found = await store.read.executor(api or call.api, call.tenant, id_)
    if found is None:
        raise _unknown(id_)
    return found


async def list_executors(
    store: Store, call: Call, *, api: str | None = None, size: int = 0, token: str = ""
) -> ExecutorPage:
    """Executors of an API, or of all that the caller sees, by their identifiers."""
    seen = api or call.seen_api
    bound_to = fingerprint("executors", seen, call.seen_tenant)
    after = open_page(store.signer, bound_to, token).after if token else None
    wanted = page_size(size)
    found = await store.read.executors(
        seen, call.seen_tenant, after=after, limit=wanted + 1  # type: ignore[arg-type] # sealed below
    )  # fmt: skip
    page = tuple(found[:wanted])
    more = ""
    if len(found) > wanted:
        last = page[-1]
        more = seal_page(store.signer, bound_to, Cursor((last.api, last.tenant, last.id)))
    return ExecutorPage(page, more)


async def delete_executor(store: Store, call: Call, id_: str, *, api: str = "") -> None:
    """Remove one."""
    if not await store.run(lambda tx: tx.delete_executor(api or call.api, call.tenant, id_)):
        raise _unknown(id_)


def _unknown(id_: str) -> Refused:
    return refuse(Reason.EXECUTOR_NOT_FOUND, f"There is no executor {id_!r}.", executor=id_)
