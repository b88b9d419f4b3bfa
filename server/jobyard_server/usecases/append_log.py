"""Keep a chunk of the log of a running attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobyard_server.usecases.ports import AppendLog

if TYPE_CHECKING:
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Store


async def append_log(store: Store, call: Call, token: str, offset: int, data: bytes) -> int:
    """Append at ``offset``; the bytes received so far. Sent again it is kept once; a gap is refused (LOG_GAP)."""
    return await store.append_log(AppendLog(token, call.user, offset, data))
