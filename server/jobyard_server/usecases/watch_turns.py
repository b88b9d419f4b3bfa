"""Turns of watchers that are behind: a few catch up at a time, so that the others and everybody else get through.

A watcher that is behind writes as fast as its stream takes it. Fifty of them at once would make each other, those
that are not behind, and all other calls wait; one after the other they are done no later. Whoever has the least to
catch up on comes first. One whose stream does not take anything keeps nobody waiting: others get its place.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

T = TypeVar("T")

AT_ONCE: Final = 3
STUCK_SECONDS: Final = 0.02
"""After so long without a message taken, a place is somebody else's."""

LISTENS: Final = 20_000
"""Messages after which a watcher has shown that it reads: no client takes in as much ahead of one that does not."""


@dataclass(slots=True)
class Turn:
    """The place of one watcher among those that catch up."""

    alive_at: float = 0.0
    """When its stream took a message last."""
    told: int = 0
    """Messages it was given."""


@dataclass(order=True, slots=True)
class _Waiting:
    behind: int
    arrived: int
    turn: Turn = field(compare=False)
    admitted: asyncio.Future[None] = field(compare=False)


class Turns:
    """The watchers of one process that catch up."""

    def __init__(self, at_once: int = AT_ONCE, stuck_seconds: float = STUCK_SECONDS) -> None:
        self._at_once = at_once
        self._stuck_seconds = stuck_seconds
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
        while self._waiting and len(self._going) < self._at_once:
            waiting = heappop(self._waiting)
            if not waiting.admitted.done():
                waiting.turn.alive_at = loop.time()
                self._going.append(waiting.turn)
                waiting.admitted.set_result(None)
        if self._waiting and self._look is None:
            self._look = loop.call_later(self._stuck_seconds, self._look_again)

    def _look_again(self) -> None:
        self._look = None
        self._admit()
