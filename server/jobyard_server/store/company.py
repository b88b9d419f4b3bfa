"""How long a batch of writes is held open for others.

A transaction costs as much again as several of its commands, and who comes just after one began waits for all of it.
So where several write at once, a batch begins a little later, with those who were just answered and come back: it is
sooner done for them, and cheaper for all. Who writes alone never waits.
"""

from __future__ import annotations

import sys
from threading import Event
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_SECONDS: Final = 0.01
"""No batch is held open for longer, nor for longer than the last one took."""


class Company:
    """How many commands there were lately, and the wait for as many. All but :meth:`came` is the writer's to call."""

    __slots__ = ("_awaited", "_before", "_complete", "_lately", "_most", "_patience", "_waiting")

    def __init__(self, waiting: Callable[[], int], most: int) -> None:
        """``waiting`` tells how many commands are in the queue, of which a batch takes at most so many."""
        self._waiting = waiting
        self._most = most
        self._lately = 1
        self._before = 1
        self._patience = 0.0
        self._awaited = sys.maxsize
        self._complete = Event()

    def seen(self, commands: int, seconds: float) -> None:
        """A batch of so many commands took so long, and is about to be answered; what waits by now came meanwhile."""
        self._before = self._lately
        self._lately = commands + self._waiting()
        self._patience = min(MOST_SECONDS, seconds)

    def wait(self) -> None:
        """Wait for others; one command was taken already."""
        # A crowd that was there but once may have come for that once.
        others = min(self._before, self._lately, self._most) - 1
        if self._waiting() >= others:
            return
        self._complete.clear()
        self._awaited = others
        # Whoever came before it was said how many are awaited told nobody.
        if self._waiting() < others:
            self._complete.wait(self._patience)
        self._awaited = sys.maxsize

    def came(self) -> None:
        """A command was added to the queue."""
        if self._waiting() >= self._awaited:
            self._complete.set()
