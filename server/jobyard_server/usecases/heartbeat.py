"""Keep a worker's session alive and tell it what to do with its leases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobyard_server.usecases.ports import Beaten, Heartbeat

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Store


async def heartbeat(
    store: Store,
    call: Call,
    session: str,
    tokens: Sequence[str],
    *,
    messages: Mapping[str, str] | None = None,
    session_seconds: float = 30.0,
) -> Beaten:
    """One directive per token, in order; ``messages`` are words on the progress, by token."""
    return await store.heartbeat(
        Heartbeat(
            session=session,
            principal=call.user,
            tokens=tuple(tokens),
            session_seconds=session_seconds,
            messages=messages or {},
        )
    )
