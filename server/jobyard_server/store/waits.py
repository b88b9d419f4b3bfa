"""How long the next piece of work of each queue has waited for a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jobyard_server.store.rows import MICROS
from jobyard_server.store.tables import READY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobyard_server.store.reader import Reader

MOST_QUEUES: Final = 500
"""So many queues are told of, in the order of their names: what watches them is not made for names without end."""

# From queue to queue and to the first of each, by the index that leases are taken by: what waits behind costs nothing.
_FIRST: Final = f"""
WITH RECURSIVE waiting(queue) AS (
    SELECT min(queue) FROM subjobs WHERE {READY}
    UNION ALL
    SELECT (SELECT min(queue) FROM subjobs WHERE {READY} AND queue > waiting.queue) FROM waiting
    WHERE waiting.queue IS NOT NULL
)
SELECT queue, (
    SELECT updated_at FROM subjobs WHERE {READY} AND subjobs.queue = waiting.queue
    ORDER BY priority DESC, job, id LIMIT 1
) FROM waiting WHERE queue IS NOT NULL LIMIT {MOST_QUEUES}
"""


async def queue_waits(read: Reader) -> Mapping[str, float]:
    """Seconds by queue, of those queues that have work for a worker."""
    now = read.clock.wall()

    def waited(row: tuple[Any, ...]) -> tuple[str, float]:
        return row[0], max(0.0, (now - row[1]) / MICROS)

    return dict(await read.many(_FIRST, (), waited))
