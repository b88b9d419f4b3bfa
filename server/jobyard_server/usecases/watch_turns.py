"""Turns of watchers that are behind: a few catch up at a time, so that the others and everybody else get through.

A watcher that is behind writes as fast as its stream takes it. Fifty of them at once would make each other, those
that are not behind, and all other calls wait; one after the other they are done no later. Whoever has the least to
catch up on comes first. One whose stream does not take anything keeps nobody waiting: others get its place.

Many watchers of one connection are a crowd. Its members go one at a time and leave most of a busy event loop to others:
what a client takes in ahead of a program that does not read cannot be told from what is read.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import count
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

T = TypeVar("T")

AT_ONCE: Final = 3
STUCK_SECONDS: Final = 0.02
"""After so long without a message taken, a place is somebody else's."""

LISTENS: Final = 20_000
"""Messages after which a watcher has shown that it reads: no client takes in as much ahead of one that does not."""

CROWD: Final = 8
"""Watchers of one connection; more are a crowd."""

SHARE: Final = 0.1
"""What crowds take of the event loop together while others have work for it."""

BUSY: Final = 0.25
"""The part of the event loop's time that others use when it is busy."""

TELLING: Final = 0.00015
"""Seconds of the event loop that a message takes."""


@dataclass(slots=True, eq=False)
class Turn:
    """The place of one watcher among those that catch up."""

    client: str = ""
    """The connection it came over."""
    alive_at: float = 0.0
    """When its stream took a message last."""
    told: int = 0
    """Messages it was given."""


class Rest:
    """How long to leave the event loop to others, after messages that were told."""

    def __init__(self) -> None:
        self._told = 0
        self._looked_at = perf_counter()
        self._used = thread_time()
        self._until = 0.0

    def note(self) -> None:
        """A message was told."""
        self._told += 1

    def left(self) -> float:
        """Seconds still to rest."""
        if self._told:
            now, used = perf_counter(), thread_time()
            passed, worked = now - self._looked_at, used - self._used
            self._until = now + rest_after(self._told, passed, worked)
            self._told, self._looked_at, self._used = 0, now, used
        return self._until - perf_counter()


def rest_after(told: int, passed: float, worked: float) -> float:
    """Seconds to rest when so much was told in so many seconds, in which the event loop worked for so many."""
    own = told * TELLING
    return max(0.0, own / SHARE - passed) if worked - own > BUSY * passed else 0.0


@dataclass(order=True, slots=True)
class _Waiting:
    behind: int
    arrived: int
    turn: Turn = field(compare=False)
    admitted: asyncio.Future[None] = field(compare=False)


class Turns:
    """Watchers that catch up, so many at once."""

    def __init__(self, at_once: int = AT_ONCE, stuck_seconds: float = STUCK_SECONDS, rest: Rest | None = None) -> None:
        self._at_once = at_once
        self._stuck_seconds = stuck_seconds
        self._rest = rest
        self._going: list[Turn] = []
        self._waiting: list[_Waiting] = []
        self._arrivals = count()
        self._look: asyncio.TimerHandle | None = None

    async def begin(self, turn: Turn, behind: int) -> None:
        """Wait for a place; ``behind`` is how much there is to catch up on."""
        if turn in self._going:
            return
        loop = asyncio.get_running_loop()
        behind = behind if turn.told < LISTENS else 0
        waiting = _Waiting(behind, next(self._arrivals), turn, loop.create_future())
        heappush(self._waiting, waiting)
        self._admit()
        try:
            await waiting.admitted
        except BaseException:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
                heapify(self._waiting)
            self.end(turn)
            raise

    async def taken(self, turn: Turn, messages: AsyncIterator[T], behind: int) -> AsyncIterator[T]:
        """The messages, each while the turn has its place; one that is not ``behind`` needs none."""
        try:
            async for message in messages:
                if not self.alive(turn) and behind:
                    await self.begin(turn, behind)
                turn.told += 1
                if self._rest is not None:
                    self._rest.note()
                yield message
        finally:
            self.end(turn)

    def alive(self, turn: Turn) -> bool:
        """A message of it was taken; whether it still has its place."""
        turn.alive_at = asyncio.get_running_loop().time()
        return turn in self._going

    def end(self, turn: Turn) -> None:
        """Give the place to somebody else."""
        if turn in self._going:
            self._going.remove(turn)
            self._admit()

    def _admit(self) -> None:
        if not self._waiting:
            return
        loop = asyncio.get_running_loop()
        if len(self._going) >= self._at_once:
            stuck_since = loop.time() - self._stuck_seconds
            self._going = [turn for turn in self._going if turn.alive_at > stuck_since]
        again = self._stuck_seconds
        while self._waiting and len(self._going) < self._at_once:
            if self._rest is not None and (left := self._rest.left()) > 0:
                again = left
                break
            waiting = heappop(self._waiting)
            if not waiting.admitted.done():
                waiting.turn.alive_at = loop.time()
                self._going.append(waiting.turn)
                waiting.admitted.set_result(None)
        if self._waiting and self._look is None:
            self._look = loop.call_later(again, self._look_again)

    def _look_again(self) -> None:
        self._look = None
        self._admit()


class Watchers:
    """The watchers of one process."""

    def __init__(self) -> None:
        self._few = Turns()
        self._crowds = Turns(at_once=1, rest=Rest())
        self._open: Counter[str] = Counter()

    @contextmanager
    def opened(self, client: str) -> Iterator[Turn]:
        """The turn of a watcher, as long as it watches."""
        self._open[client] += 1
        turn = Turn(client)
        try:
            yield turn
        finally:
            self._few.end(turn)
            self._crowds.end(turn)
            self._open[client] -= 1
            if not self._open[client]:
                del self._open[client]

    def crowded(self, turn: Turn) -> bool:
        """Whether it is one of a crowd, and has not shown that it reads."""
        return bool(turn.client) and self._open[turn.client] > CROWD and turn.told < LISTENS

    def taken(self, turn: Turn, messages: AsyncIterator[T], behind: int) -> AsyncIterator[T]:
        """The messages, each when it is the watcher's turn; in a crowd one that is hardly behind waits, too."""
        if self.crowded(turn):
            return self._crowds.taken(turn, messages, max(1, behind))
        return self._few.taken(turn, messages, behind)
