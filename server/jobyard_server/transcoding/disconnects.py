"""Cancels calls whose client has gone away, without a task for every call that is over in no time."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

from jobyard_server.transcoding.body import ClientGone, Receive


class Watch:
    """The calls in progress. Those that last are watched for a disconnect; most end before that is worth a task."""

    def __init__(self, after: float) -> None:
        self._after = after
        self._young: dict[asyncio.Task[Any], Presence] = {}
        self._timer: asyncio.TimerHandle | None = None

    def over(self, receive: Receive) -> Presence:
        """Watch over the current task while the returned context is open; its request body has been read."""
        return Presence(self, receive)

    def enter(self, task: asyncio.Task[Any], presence: Presence) -> None:
        """Note a call that has begun."""
        self._young[task] = presence
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._after, self._sweep)

    def leave(self, task: asyncio.Task[Any]) -> None:
        """Forget a call that is over."""
        self._young.pop(task, None)

    def _sweep(self) -> None:
        self._timer = None
        for task, presence in self._young.items():
            presence.start_watching(task)
        self._young.clear()


class Presence:
    """One client and the task that works for it."""

    __slots__ = ("_receive", "_task", "_watch", "_watcher", "gone")

    def __init__(self, watch: Watch, receive: Receive) -> None:
        self._watch = watch
        self._receive = receive
        self._task: asyncio.Task[Any] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self.gone = False
        """The client went away and the task was cancelled for that."""

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._watch.enter(task, self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._task is not None
        self._watch.leave(self._task)
        if self._watcher is not None:
            self._watcher.cancel()
        if self.gone and kind is asyncio.CancelledError:
            # The cancellation was ours: whoever runs the application need not hear of it.
            self._task.uncancel()
            raise ClientGone from error

    def start_watching(self, task: asyncio.Task[Any]) -> None:
        """Wait for the disconnect from now on."""
        self._watcher = asyncio.get_running_loop().create_task(self._wait(task))

    async def _wait(self, task: asyncio.Task[Any]) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        task.cancel()
