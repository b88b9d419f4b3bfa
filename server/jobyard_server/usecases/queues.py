"""Put, get, list and delete queues: the lines of ready subjobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from jobyard_server.domain.catalog import QueueStatus
from jobyard_server.domain.paging import Cursor, fingerprint, open_page, page_size, seal_page
from jobyard_server.domain.reason import Reason, invalid, refuse

if TYPE_CHECKING:
    from jobyard_server.domain.catalog import Queue
    from jobyard_server.domain.reason import Refused
    from jobyard_server.usecases.ports import Store

MINUTES: Final = 1440


@dataclass(frozen=True, slots=True)
class QueuePage:
    """One page of queues."""

    queues: tuple[Queue, ...]
    next_page_token: str


async def put_queue(store: Store, queue: Queue) -> Queue:
    """Create or replace; refuses (INVALID_FIELD) an unknown time zone and slots that are none."""
    _check(queue)
    return await store.run(lambda tx: tx.put_queue(queue))


async def get_queue(store: Store, name: str) -> Queue:
    """One queue that was put."""
    found = await store.read.queue(name)
    if found is None:
        raise _unknown(name)
    return found


async def list_queues(store: Store, *, size: int = 0, token: str = "") -> QueuePage:
    """Queues that were put, by name."""
    bound_to = fingerprint("queues")
    after = str(open_page(store.signer, bound_to, token).after[0]) if token else ""
    wanted = page_size(size)
    # There are as many queues as operators wrote down: they are read whole.
    found = [queue for queue in await store.read.queues() if queue.name > after]
    page = tuple(found[:wanted])
    more = seal_page(store.signer, bound_to, Cursor((page[-1].name,))) if len(found) > wanted else ""
    return QueuePage(page, more)


async def delete_queue(store: Store, name: str) -> None:
    """Back to the defaults of a queue that nobody put; its jobs stay in it."""
    if not await store.run(lambda tx: tx.delete_queue(name)):
        raise _unknown(name)


def _check(queue: Queue) -> None:
    try:
        ZoneInfo(queue.time_zone)
    except (KeyError, OSError, ValueError):
        # In turn: a name nobody knows, the name of a folder, and a path that leads out of the database of zones.
        raise invalid("queue.time_zone", f"{queue.time_zone!r} is not a time zone") from None
    for index, slot in enumerate(queue.slots):
        if not (0 <= slot.start < MINUTES and 0 <= slot.end <= MINUTES and slot.start != slot.end):
            raise invalid(f"queue.time_slots[{index}]", "starts and ends at two different times of a day")
    if queue.status is QueueStatus.SCHEDULED and not queue.slots:
        raise invalid("queue.time_slots", "must not be empty for a queue that is open in its time slots only")


def _unknown(name: str) -> Refused:
    return refuse(Reason.QUEUE_NOT_FOUND, f"Queue {name!r} was never put.", queue=name)
