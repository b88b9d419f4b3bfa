"""What a server does when it begins: the queue is closed on which parts wait for DMI services, not for workers."""

from __future__ import annotations

from jobyard_server.apis.ncmp.nouns import QUEUE
from jobyard_server.apis.registration import Options
from jobyard_server.domain.catalog import Queue, QueueStatus
from jobyard_server.usecases.ports import Store


async def close_queue(store: Store, _options: Options) -> None:
    """Close the queue, once and for all."""
    found = await store.read.queue(QUEUE)
    if found is None or found.status is not QueueStatus.DISABLED:
        await store.run(lambda tx: tx.put_queue(Queue(QUEUE, status=QueueStatus.DISABLED)))
