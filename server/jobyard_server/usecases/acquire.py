"""Lease ready subjobs to a worker, waiting for some when there are none."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobyard_server.domain.reason import Reason, refuse
from jobyard_server.usecases.call import ALL_TENANTS
from jobyard_server.usecases.ports import Acquire, Acquired

if TYPE_CHECKING:
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Store


@dataclass(frozen=True, slots=True)
class WorkRequest:
    """What a worker is ready to take."""

    session: str
    worker: str
    queues: tuple[str, ...]
    limit: int = 1
    wait_seconds: float = 0.0
    session_seconds: float = 30.0


async def acquire(store: Store, call: Call, request: WorkRequest) -> Acquired:
    """Leases, the most urgent first; none when nothing became ready in time, or before the server stops.

    A worker serves its own tenant, unless its principal may serve all of them.
    """
    _check_queues(call, request)
    command = Acquire(
        session=request.session,
        worker=request.worker,
        principal=call.user,
        tenant=None if call.principal.may(ALL_TENANTS) else call.tenant,
        queues=request.queues,
        limit=max(1, request.limit),
        session_seconds=request.session_seconds,
        request_id=call.request_id,
    )
    clock = asyncio.get_running_loop().time
    until = clock() + request.wait_seconds
    while True:
        left = until - clock()
        if left <= 0:
            return await store.acquire(command)
        # Asked before looking: what becomes ready between the look and the wait is not slept over.
        ready = asyncio.ensure_future(store.ready(request.queues, left))
        try:
            acquired = await store.acquire(command)
            if not acquired.leases and not store.ending:
                await asyncio.wait([ready], timeout=acquired.again_in)
            if acquired.leases or store.ending:
                # At the end nobody looks again: what is leased then is lost if the answer comes too late to be sent.
                return acquired
        finally:
            ready.cancel()


def _check_queues(call: Call, request: WorkRequest) -> None:
    allowed = call.principal.queues
    if allowed is None:
        return
    refused = sorted(set(request.queues) - allowed)
    if refused:
        raise refuse(
            Reason.PERMISSION_MISSING,
            f"{call.user} may not serve the queue {refused[0]!r}.",
            permission=f"queue:{refused[0]}",
        )
