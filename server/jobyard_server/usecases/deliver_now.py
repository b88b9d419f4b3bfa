"""A call that has to answer after its deliveries: wait for them, but never for long."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobyard_server.domain.delivery import Delivery
    from jobyard_server.usecases.ports import Deliverer


async def deliver_now(
    deliverer: Deliverer | None, deliveries: Sequence[Delivery], seconds: float
) -> Sequence[Delivery]:
    """Wait until deliveries that were committed have ended, at most ``seconds``; what they are then.

    Owe them with ``claimed=True`` and call this right after the commit. What is unfinished goes on in the
    background; when the process ends before, the claims run out and the deliveries are made by whoever comes next.
    """
    if deliverer is None or not deliveries:
        return deliveries
    return await deliverer.finish(deliveries, seconds)
