"""Logs of attempts: chunks kept by offset, the head and the tail of a log that grows too long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobyard_server.domain.reason import Reason, invalid, refuse
from jobyard_server.store.leases import Leases
from jobyard_server.store.rows import kept

if TYPE_CHECKING:
    from jobyard_server.store.unit import Unit

MAX_CHUNK: Final = 64 * 1024
MAX_HEAD: Final = 8 * 1024 * 1024
MAX_TAIL: Final = 8 * 1024 * 1024

_RECEIVED: Final = "SELECT log_size FROM attempts WHERE subjob = ? AND number = ?"
_KEEP: Final = "INSERT INTO log_chunks (subjob, attempt, start, data) VALUES (?, ?, ?, ?)"
_GROW: Final = "UPDATE attempts SET log_size = ? WHERE subjob = ? AND number = ?"
_FORGET: Final = "DELETE FROM log_chunks WHERE subjob = ? AND attempt = ? AND start >= ? AND start + length(data) <= ?"


def append_log(unit: Unit, token: str, principal: str, offset: int, data: bytes) -> int:
    """Keep a chunk; the bytes received so far. What was received before is not kept twice."""
    if len(data) > MAX_CHUNK:
        raise invalid("data", f"is longer than {MAX_CHUNK} bytes")
    lease = Leases(unit, [token]).of(token, kept(principal))
    if lease is None or not lease.open:
        raise refuse(Reason.LEASE_LOST, "The lease is not held any more.")
    attempt = (lease.subjob, lease.number)
    ((received,),) = unit.sets.all(_RECEIVED, attempt)
    if offset > received:
        raise refuse(
            Reason.LOG_GAP, f"The log has {received} bytes; a chunk cannot start at {offset}.", received=str(received)
        )
    fresh = data[received - offset :]
    if not fresh:
        return int(received)
    size = int(received) + len(fresh)
    unit.sets.run(_KEEP, (*attempt, received, fresh))
    unit.sets.run(_GROW, (size, *attempt))
    if size > MAX_HEAD + MAX_TAIL:
        unit.sets.run(_FORGET, (*attempt, MAX_HEAD, size - MAX_TAIL))
    # Followers of the log wait for the same as watchers of events.
    unit.changed = True
    return size
