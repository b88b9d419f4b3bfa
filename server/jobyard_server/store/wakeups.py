"""Who waits for something to happen, woken after the commit that made it happen."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

POLL_SECONDS: Final = 1.0
"""How soon the writes of another process on the same file are noticed."""


RECENT_SECONDS: Final = 0.02


class Wakeups:
    """Waiters by queue, and those that wait for any event.

    A waiter holds one future and no messages, so one that is slow costs nothing. ``version``
    tells whether another process wrote; it is asked only while somebody waits.
    """

    def __init__(self, version: Callable[[], Awaitable[int]]) -> None:
        self._version = version
        self._queues: dict[str, set[asyncio.Future[None]]] = {}
        self._events: set[asyncio.Future[None]] = set()
        self._woken: dict[str, int] = {}
        self._emptied: dict[str, int] = {}
        self._turn = 0
        self._last_event = float("-inf")
        self._poller: asyncio.Task[None] | None = None
        self._count = 0
        self._seen = -1
        self.ending = False
        """Whether nobody is to begin another wait."""

    @property
    def turn(self) -> int:
        """Counts what has been woken; taken before a queue is looked at, for :meth:`emptied`."""
        return self._turn

    def emptied(self, queues: Sequence[str], turn: int) -> None:
        """Somebody looked at queues and left nothing: what was woken up to ``turn`` is gone."""
        for queue in queues:
            self._emptied[queue] = max(turn, self._emptied.get(queue, 0))

    def wake(self, queues: set[str], changed: bool) -> None:  # noqa: FBT001 - two facts of a commit
        """Wake whoever waits for one of the queues, or for events."""
        self._turn += 1
        for queue in queues:
            self._woken[queue] = self._turn
            _release(self._queues.get(queue, ()))
        if changed:
            self._last_event = asyncio.get_running_loop().time()
            _release(self._events)

    def wake_all(self) -> None:
        """Wake everybody: what happened is not known."""
        self.wake(set(self._queues), changed=True)

    async def ready(self, queues: Sequence[str], seconds: float) -> None:
        """Wait for something ready on one of the queues.

        Returns at once for what was woken since the queue was last found empty: between looking
        at a queue and waiting for it, a wake-up would otherwise be lost.
        """
        if any(self._woken.get(queue, 0) > self._emptied.get(queue, 0) for queue in queues):
            return
        try:
            places = [self._queues.setdefault(queue, set()) for queue in queues]
            await self._wait(places, seconds)
        finally:
            for queue in queues:
                if not self._queues.get(queue, True):
                    del self._queues[queue]

    async def changed(self, seconds: float) -> None:
        """Wait for events; those of the last moments count, as the reader may have missed them."""
        since = asyncio.get_running_loop().time() - self._last_event
        if since < RECENT_SECONDS:
            await asyncio.sleep(min(seconds, RECENT_SECONDS - since))
        else:
            await self._wait([self._events], seconds)

    def end(self) -> None:
        """Wake everybody for the last time; whoever has nothing to say but what he waited for ends."""
        self.ending = True
        self.wake_all()

    def close(self) -> None:
        """Wake everybody and stop asking."""
        if self._poller is not None:
            self._poller.cancel()
            self._poller = None
        self.wake_all()

    async def _wait(self, places: list[set[asyncio.Future[None]]], seconds: float) -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(max(0.0, seconds), _finish, future)
        for place in places:
            place.add(future)
        self._count += 1
        if self._poller is None:
            self._poller = asyncio.create_task(self._poll())
        try:
            await future
        finally:
            timer.cancel()
            self._count -= 1
            for place in places:
                place.discard(future)

    async def _poll(self) -> None:
        while self._count:
            await asyncio.sleep(POLL_SECONDS)
            seen = await self._version()
            if seen != self._seen:
                self._seen = seen
                self.wake_all()
        self._poller = None


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _release(waiters: Iterable[asyncio.Future[None]]) -> None:
    for future in waiters:
        _finish(future)
