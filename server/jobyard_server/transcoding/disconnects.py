"""Ends calls whose client has gone away or fallen silent, without a task or a timer for every call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from threading import get_ident
from time import monotonic
from types import TracebackType
from typing import Any, Self

from jobyard_server.transcoding.budget import Budget
from jobyard_server.transcoding.refusals import refused

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]


class ClientGone(Exception):  # noqa: N818 - nobody is left to call it an error to
    """The client closed the connection before it had its answer."""


class Watch:
    """The calls in progress, looked at every now and then; most are over before that and cost nothing."""

    def __init__(self, every: float, silence: float, budget: Budget) -> None:
        """Look `every` so many seconds; a body may pause for `silence` seconds, all share a budget of bytes."""
        self._every = every
        self.silence = silence
        self.budget = budget
        self._calls: dict[asyncio.Task[Any], Presence] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread_id = 0

    def over(self, receive: Receive) -> Presence:
        """Watch over the current task while the returned context is open."""
        return Presence(self, receive)

    def enter(self, presence: Presence) -> asyncio.Task[Any]:
        """Note a call that has begun, and say which task it is."""
        # Asking for the running loop is a system call; of the one that ran here last nothing else has to be asked.
        task = None if self._loop is None or self._thread_id != get_ident() else asyncio.current_task(self._loop)
        if task is None:
            self._loop, self._thread_id = asyncio.get_running_loop(), get_ident()
            task = asyncio.current_task(self._loop)
            assert task is not None
        self._calls[task] = presence
        if self._timer is None:
            assert self._loop is not None
            self._timer = self._loop.call_later(self._every, self._look)
        return task

    def leave(self, task: asyncio.Task[Any]) -> None:
        """Forget a call that is over."""
        self._calls.pop(task, None)

    def _look(self) -> None:
        self._timer = None
        now = monotonic()
        for task in [task for task, presence in self._calls.items() if presence.settled(now)]:
            # From now on a task of its own waits for the client of this call.
            del self._calls[task]
        if self._calls:
            self._timer = asyncio.get_running_loop().call_later(self._every, self._look)


class Presence:
    """One client and the task that works for it."""

    __slots__ = ("_claimed", "_receive", "_since", "_task", "_watch", "_watcher", "body_over", "gone", "silent")

    def __init__(self, watch: Watch, receive: Receive) -> None:
        self._watch = watch
        self._receive = receive
        self._task: asyncio.Task[Any] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._since = 0.0
        self._claimed = 0
        self.body_over = False
        """Nobody reads the body any more: what is received from now on is only that the client has gone."""
        self.gone = False
        """The client went away and the task was cancelled for that."""
        self.silent = False
        """The client fell silent in the middle of its body and the task was cancelled for that."""

    def __enter__(self) -> Self:
        self._task = self._watch.enter(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._task is not None
        self._watch.leave(self._task)
        if self._claimed:
            self._watch.budget.give(self._claimed)
        if self._watcher is not None:
            self._watcher.cancel()
        if self.gone and kind is asyncio.CancelledError:
            # The cancellation was ours: whoever runs the application need not hear of it.
            self._task.uncancel()
            raise ClientGone from error

    async def receive(self) -> Event:
        """Receive the next part of the body; raises RequestRefused when none comes, and ClientGone."""
        self._since = monotonic()
        try:
            event = await self._receive()
        except asyncio.CancelledError:
            if not self.silent or self._task is None:
                raise
            self._task.uncancel()
            seconds = self._watch.silence
            raise refused("BODY_TIMEOUT", f"no part of the body came for {seconds:g} seconds") from None
        finally:
            self._since = 0.0
        if event["type"] == "http.disconnect":
            raise ClientGone
        return event

    def claim(self, size: int) -> None:
        """Take bytes of memory for the body, until the call is over; raises RequestRefused when there are none left."""
        if not self._watch.budget.take(size):
            raise refused("OVERLOADED", "too many request bodies are in memory; send the request again later")
        self._claimed += size

    def settled(self, now: float) -> bool:
        """Look at the call; True when it need not be looked at again."""
        assert self._task is not None
        if self._since:
            if now - self._since <= self._watch.silence:
                return False
            self.silent = True
            self._task.cancel()
            return True
        if self.body_over:
            self._watcher = asyncio.get_running_loop().create_task(self._wait(self._task))
        return self.body_over

    async def _wait(self, task: asyncio.Task[Any]) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        task.cancel()
