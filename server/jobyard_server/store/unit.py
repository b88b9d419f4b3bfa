"""One transaction as the verbs see it: its time, its numbers, its randomness, and what it wakes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from jobyard_server.store.keeping import Keep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobyard_server.domain.job import Micros
    from jobyard_server.store.query import JobQueries
    from jobyard_server.store.sets import Row, Sets
    from jobyard_server.store.words import Words
    from jobyard_server.usecases.ports import JobEnded

EVENT_COLUMNS: Final = (
    *("job", "job_uid", "job_seq", "api", "tenant", "type", "state", "subjob", "subjob_state", "attempt"),
    *("reason", "message", "actor", "request_id", "at"),
)

RANDOM_BYTES: Final = 4096


class Randomness:
    """Random bytes for the transactions of one thread, whose numbers none sees twice.

    Asked for many at once: each call to the system lets go of the interpreter lock, and beside a busy event loop
    getting it back costs more than all the rest.
    """

    __slots__ = ("_drawn", "_pool")

    def __init__(self) -> None:
        self._pool = b""
        self._drawn = 0

    def draw(self, count: int) -> bytes:
        """The next bytes."""
        begin, end = self._drawn, self._drawn + count
        if end > len(self._pool):
            self._pool = os.urandom(RANDOM_BYTES)
            begin, end = 0, count
        self._drawn = end
        return self._pool[begin:end]


class Unit:
    """A unit of work. Everything a verb reads or writes goes through it, and nothing else."""

    __slots__ = (
        "_events",
        "_random",
        "changed",
        "destinations",
        "ended",
        "keep",
        "now",
        "queries",
        "resumed",
        "sets",
        "standing",
        "woken",
        "words",
    )

    def __init__(
        self,
        sets: Sets,
        now: Micros,
        words: Words,
        *,
        keep: Keep | None = None,
        queries: JobQueries | None = None,
        ended: Mapping[str, JobEnded] | None = None,
        resumed: Mapping[str, JobEnded] | None = None,
        random: Randomness | None = None,
    ) -> None:
        self.sets = sets
        self.now = now
        self.words = words
        self.keep = keep or Keep()
        """How long jobs are kept after their end."""
        self.queries = queries
        """Writes lists of jobs as SQL."""
        self.standing = queries.standing if queries is not None else frozenset()
        """APIs whose jobs are looked for by where they stand."""
        self.ended = ended or {}
        """What follows, by API, when a job ends or is removed before its end."""
        self.resumed = resumed or {}
        """What follows, by API, when pieces of a job wait anew."""
        self.woken: set[str] = set()
        """Queues on which something may have become ready; told to waiters after the commit."""
        self.changed = False
        """Whether events were written."""
        self.destinations: set[str] = set()
        """Those whose timetable has to be made anew before the end."""
        self._events: list[Row] = []
        self._random = random or Randomness()

    def numbers(self, **counts: int) -> list[int]:
        """Reserve so many numbers of each numbered table that were never used; the first of each, in that order."""
        wanted = {table: count for table, count in counts.items() if count}
        firsts = self.sets.reserve(wanted) if wanted else {}
        return [firsts.get(table, 0) for table in counts]

    def took(self, table: str, number: int) -> None:
        """A row was written under a number that its writer chose."""
        self.sets.took(table, number)

    def tell(self, events: Sequence[Row]) -> None:
        """Append events, rows of :data:`EVENT_COLUMNS`. They are written at the end of the transaction, all at once.

        Where others write beside, that is what keeps the order of events the order of their commits.
        """
        if events:
            self._events += events
            self.changed = True

    def write_events(self) -> None:
        """Write the events told so far."""
        if self._events:
            self.sets.insert_last("events", EVENT_COLUMNS, self._events)
            self._events = []

    def mark(self) -> int:
        """How far it has come, for :meth:`undo`."""
        return len(self._events)

    def undo(self, mark: int) -> None:
        """Forget what was told since, for it was rolled back."""
        del self._events[mark:]

    def new_uid(self) -> str:
        """A fresh identifier (UUID version 7): later ones sort behind earlier ones."""
        stamp = f"{self.now // 1000:012x}"
        digits = self._random.draw(10).hex()
        variant = "89ab"[int(digits[3], 16) & 3]
        return f"{stamp[:8]}-{stamp[8:]}-7{digits[:3]}-{variant}{digits[4:7]}-{digits[7:19]}"

    def new_secret(self) -> str:
        """96 random bits as hexadecimal digits."""
        return self._random.draw(12).hex()
