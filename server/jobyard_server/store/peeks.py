"""Whether time has anything to do, asked with one look into an index: mostly it has not, and nobody has to write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobyard_server.store.tables import CANCELLING, HEARD, LIMITED, LIMITED_IN_ALL

if TYPE_CHECKING:
    from jobyard_server.domain.job import Micros
    from jobyard_server.store.reader import Reader

_TO_WAKE: Final = "SELECT 1 FROM subjobs WHERE wake_at <= ? AND wake_at IS NOT NULL AND state = 'PENDING' LIMIT 1"
_OVERDUE: Final = f"SELECT 1 FROM subjobs WHERE {CANCELLING} AND updated_at <= ? LIMIT 1"
_LATE: Final = (
    f"SELECT 1 FROM subjobs WHERE limit_at <= ? AND {LIMITED} LIMIT 1",
    f"SELECT 1 FROM subjobs WHERE total_at <= ? AND {LIMITED_IN_ALL} LIMIT 1",
    f"SELECT 1 FROM subjobs WHERE silence_at <= ? AND {HEARD} LIMIT 1",
)


async def anything_to_wake(read: Reader) -> bool:
    """Whether the wait of a subjob is over."""
    return await read.one(_TO_WAKE, (read.clock.wall(),)) is not None


async def anything_to_force(read: Reader, grace: Micros) -> bool:
    """Whether something was told to stop so long ago and goes on."""
    return await read.one(_OVERDUE, (read.clock.wall() - grace,)) is not None


async def anything_late(read: Reader) -> bool:
    """Whether a time limit is over."""
    now = read.clock.wall()
    for look in _LATE:
        if await read.one(look, (now,)) is not None:
            return True
    return False


async def anything_owed(read: Reader) -> bool:
    """Whether a delivery may leave now."""
    due = await read.next_delivery()
    return due is not None and due <= read.clock.wall()
