"""Job definitions and job requests put into the store, replaced and removed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jobyard_server.apis.viya import finding, names, preconditions, stored, times
from jobyard_server.apis.viya.preconditions import Conditional
from jobyard_server.apis.viya.stored import M
from jobyard_server.domain.catalog import Definition
from jobyard_server.domain.reason import Reason, refuse
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.ports import Store, Tx


async def create(store: Store, call: Call, kind: str, messages: Sequence[tuple[str, M]]) -> list[Definition]:
    """Keep new ones under their identifiers, all or none."""

    def put(tx: Tx) -> list[Definition]:
        return [tx.put_definition(stored.new_definition(call, id_, kind, message, tx.now)) for id_, message in messages]

    return await store.run(put)


async def replace(
    store: Store,
    call: Call,
    named: tuple[str, str],
    message: M,
    seen: Conditional,
    check: Callable[[], None],
) -> Definition:
    """Replace the one named by kind and identifier; ``check`` looks at the new one once the old one is found."""
    kind, id_ = named

    def put(tx: Tx) -> Definition:
        before = finding.stored_locked(tx, call, kind, id_)
        check()
        preconditions.check(seen, stored.modified_at(before))
        said_at = times.after(stored.modified_at(before), tx.now)
        return tx.put_definition(stored.new_definition(call, id_, kind, message, said_at))

    return await store.run(put)


async def delete(store: Store, call: Call, kind: str, id_: str) -> None:
    """Remove the one of a kind with an identifier."""

    def remove(tx: Tx) -> None:
        finding.stored_locked(tx, call, kind, id_)
        tx.delete_definition(names.API, call.tenant, id_)

    await store.run(remove)


def check_id(named: str, given: str, problem: str) -> None:
    """Refuse a representation that says it is another one."""
    if given not in {"", named}:
        raise refuse(Reason.REQUEST_INVALID, problem)
