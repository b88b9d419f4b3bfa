"""The hot verb Append: keep chunks of logs by offset, the head and the tail of a log that grows too long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobyard_server.domain.reason import Reason, Refusal
from jobyard_server.store.leases import Leases, lock_jobs_of
from jobyard_server.store.rows import kept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobyard_server.store.unit import Unit
    from jobyard_server.usecases.ports import AppendLog

MAX_CHUNK: Final = 64 * 1024
MAX_HEAD: Final = 8 * 1024 * 1024
MAX_TAIL: Final = 8 * 1024 * 1024

_RECEIVED: Final = (
    "SELECT a.subjob, a.number, a.log_size FROM given CROSS JOIN attempts AS a "
    "WHERE a.subjob = given.subjob AND a.number = given.number"
)
_CHUNK: Final = ("subjob", "attempt", "start", "data")
_FORGET: Final = "DELETE FROM log_chunks WHERE subjob = ? AND attempt = ? AND start >= ? AND start + length(data) <= ?"


def append(unit: Unit, commands: Sequence[AppendLog]) -> list[int | Refusal]:
    """Keep chunks; the bytes received so far of each log. What was received before is not kept twice."""
    leases = Leases(unit, [one.token for one in commands], lambda subjobs: lock_jobs_of(unit, subjobs))
    held = [leases.of(one.token, kept(one.principal)) for one in commands]
    names = sorted({(lease.subjob, lease.number) for lease in held if lease is not None and lease.open})
    rows = unit.sets.among(("subjob", "number"), names, _RECEIVED)
    received = {(subjob, number): size for subjob, number, size in rows}
    chunks: list[tuple[int, int, int, bytes]] = []
    answers: list[int | Refusal] = []
    for command, lease in zip(commands, held, strict=True):
        if lease is None or not lease.open:
            answers.append(Refusal(Reason.LEASE_LOST, "The lease is not held any more."))
            continue
        attempt = (lease.subjob, lease.number)
        size = received[attempt]
        if command.offset > size:
            answers.append(_gap(command, size))
            continue
        if fresh := command.data[size - command.offset :]:
            chunks.append((*attempt, size, fresh))
            received[attempt] = size + len(fresh)
        answers.append(received[attempt])
    _write(unit, chunks, received)
    return answers


def _gap(command: AppendLog, size: int) -> Refusal:
    message = f"The log has {size} bytes; a chunk cannot start at {command.offset}."
    return Refusal(Reason.LOG_GAP, message, metadata={"received": str(size)})


def _write(unit: Unit, chunks: list[tuple[int, int, int, bytes]], received: dict[tuple[int, int], int]) -> None:
    if not chunks:
        return
    grown = sorted({chunk[:2] for chunk in chunks})
    unit.sets.insert("log_chunks", _CHUNK, chunks)
    unit.sets.update("attempts", ("subjob", "number"), ("log_size",), [(*one, received[one]) for one in grown])
    for attempt in grown:
        if received[attempt] > MAX_HEAD + MAX_TAIL:
            unit.sets.run(_FORGET, (*attempt, MAX_HEAD, received[attempt] - MAX_TAIL))
    # Followers of the log wait for the same as watchers of events.
    unit.changed = True
