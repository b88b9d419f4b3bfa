"""The worker: leases work, runs it, keeps its leases alive, and leaves in good order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import Counter
from collections.abc import Coroutine, Mapping
from typing import Any, Final, TypeVar

import grpc
from google.protobuf.duration_pb2 import Duration

from jobyard.jobs.v1 import worker_lease_pb2
from jobyard.jobs.v1.content_service_pb2_grpc import ContentServiceStub
from jobyard.jobs.v1.worker_service_pb2_grpc import WorkerServiceStub
from jobyard_server.client.failure import Failure
from jobyard_server.client.retry import Backoff
from jobyard_server.worker.attempt import Attempt
from jobyard_server.worker.calls import Calls, FailedError
from jobyard_server.worker.complaints import Complaints
from jobyard_server.worker.contents import Contents
from jobyard_server.worker.ending import Stop
from jobyard_server.worker.keeper import processes
from jobyard_server.worker.plan import Plan
from jobyard_server.worker.programs import Programs

LOOK_SECONDS: Final = 0.5
"""How often the memory of programs is looked at."""
MOST_LEASES: Final = 500
REFUSED: Final = frozenset(
    {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT}
)

STOPS: Final[Mapping[int, Stop]] = {
    worker_lease_pb2.DIRECTIVE_CANCEL: Stop.CANCELLED,
    worker_lease_pb2.DIRECTIVE_SUSPEND: Stop.SUSPENDED,
    worker_lease_pb2.DIRECTIVE_LOST: Stop.LOST,
}
T = TypeVar("T")

_log = logging.getLogger(__name__)


class RefusedError(Exception):
    """The server does not take this worker; trying again would not help."""

    def __init__(self, told: Failure) -> None:
        super().__init__(told.message)
        self.failure = told


class Worker:
    """Runs the work of some queues until it is told to leave."""

    def __init__(self, channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...], plan: Plan) -> None:
        self._plan = plan
        self._stub = WorkerServiceStub(channel)
        self._calls = Calls(metadata)
        self._contents = Contents(ContentServiceStub(channel), self._calls)
        self._programs = Programs()
        self._session = secrets.token_hex(16)
        self._attempts: dict[Attempt, asyncio.Task[None]] = {}
        self._beat_seconds = 10.0
        self._complaints = Complaints(_log)
        self._rhythm_changed = asyncio.Event()
        self._welcome = False
        self._leaving = asyncio.Event()
        self._hurry = asyncio.Event()
        self._room = asyncio.Event()

    def leave(self) -> None:
        """Take no new work and end when what runs has ended; called again, do not wait for it."""
        if self._leaving.is_set():
            self._hurry.set()
        self._leaving.set()

    async def run(self) -> None:
        """Work until told to leave; raises RefusedError when the server never took this worker."""
        beating = asyncio.create_task(self._beat())
        looking = asyncio.create_task(self._look_at_memory()) if self._plan.limits.memory_bytes else None
        try:
            await self._take_work()
            await self._drain()
        finally:
            for attempt in self._attempts:
                attempt.stop(Stop.DRAINED)
            if self._attempts:
                await asyncio.wait(self._attempts.values())
            for task in (beating, looking):
                if task is not None:
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task
            await self._programs.close()

    # --- taking work ---------------------------------------------------------------------------------------------

    async def _take_work(self) -> None:
        backoff = Backoff()
        while not self._leaving.is_set():
            free = min(self._plan.concurrency - len(self._attempts), MOST_LEASES)
            if free <= 0:
                self._room.clear()
                await self._unless_leaving(self._room.wait())
                continue
            try:
                answer = await self._unless_leaving(self._acquire(free))
            except FailedError as error:
                await self._unless_leaving(asyncio.sleep(self._after_refusal(error.failure, backoff)))
                continue
            if answer is None:
                return
            self._welcome = True
            self._complaints.end()
            backoff.reset()
            self._learn_rhythm(answer.heartbeat_interval.ToTimedelta().total_seconds())
            for lease in answer.leases:
                self._start(lease)

    async def _acquire(self, limit: int) -> worker_lease_pb2.AcquireResponse:
        request = worker_lease_pb2.AcquireRequest(
            session=self._session,
            worker=self._plan.name,
            queues=list(self._plan.programs),
            limit=limit,
            wait=_duration(self._plan.wait_seconds),
        )
        return await self._calls.once(self._stub.Acquire, request, self._plan.wait_seconds + 10.0)

    def _after_refusal(self, failure: Failure, backoff: Backoff) -> float:
        if failure.code in REFUSED and not self._welcome:
            raise RefusedError(failure)
        self._complaints.make("no work taken: %s", failure.message)
        return backoff.after(failure)

    def _start(self, lease: worker_lease_pb2.Lease) -> None:
        attempt = Attempt(lease, self._plan, self._programs, self._stub, self._calls, self._contents)
        task = asyncio.create_task(attempt.run(), name=attempt.name)
        self._attempts[attempt] = task
        task.add_done_callback(lambda done: self._finished(attempt, done))

    def _finished(self, attempt: Attempt, task: asyncio.Task[None]) -> None:
        del self._attempts[attempt]
        self._room.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("%s: the worker made a mistake", attempt.name, exc_info=error)

    async def _unless_leaving(self, awaited: Coroutine[Any, Any, T]) -> T | None:
        """The outcome of something, or ``None`` as soon as the worker is to leave."""
        doing = asyncio.ensure_future(awaited)
        leaving = asyncio.ensure_future(self._leaving.wait())
        try:
            await asyncio.wait((doing, leaving), return_when=asyncio.FIRST_COMPLETED)
            return doing.result() if doing.done() else None
        finally:
            for task in (doing, leaving):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, FailedError):
                    await task

    async def _drain(self) -> None:
        """Let what runs end, for some time; what is left is stopped and given back by `run`."""
        if not self._attempts:
            return
        _log.info("leaving: %d still running, for at most %g s", len(self._attempts), self._plan.drain_seconds)
        hurry = asyncio.ensure_future(self._hurry.wait())
        ended = asyncio.ensure_future(asyncio.wait(self._attempts.values()))
        await asyncio.wait((hurry, ended), timeout=self._plan.drain_seconds, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        ended.cancel()

    # --- keeping leases ------------------------------------------------------------------------------------------

    async def _beat(self) -> None:
        """Tell the server which leases are held, and do with each what it says."""
        clock = asyncio.get_running_loop().time
        heard = clock()
        backoff = Backoff(first=0.5)
        complaints = Complaints(_log)
        while True:
            held = list(self._attempts)
            wait = self._beat_seconds
            try:
                if held:
                    await self._beat_for(held)
            except FailedError as error:
                wait = min(wait, backoff.after(error.failure))
                silence = clock() - heard
                if error.failure.reason == "SESSION_UNKNOWN" or silence > self._plan.unreachable_seconds:
                    _log.error("all leases are lost: %s", error)
                    for attempt in held:
                        attempt.stop(Stop.LOST)
                else:
                    complaints.make("no heartbeat for %.0f s: %s", silence, error)
            else:
                heard = clock()
                complaints.end()
                backoff.reset()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._rhythm_changed.wait(), wait)
                self._rhythm_changed.clear()

    def _learn_rhythm(self, seconds: float) -> None:
        """Beat as often as the server asks, from now on."""
        if seconds > 0 and seconds != self._beat_seconds:
            self._beat_seconds = seconds
            self._rhythm_changed.set()

    async def _beat_for(self, held: list[Attempt]) -> None:
        leases = [worker_lease_pb2.HeldLease(token=one.lease.token, message=one.progress) for one in held]
        request = worker_lease_pb2.HeartbeatRequest(session=self._session, leases=leases)
        answer = await self._calls.once(self._stub.Heartbeat, request, max(1.0, self._beat_seconds))
        for attempt, directive in zip(held, answer.directives, strict=True):
            if why := STOPS.get(directive):
                attempt.stop(why)

    async def _look_at_memory(self) -> None:
        """Stop programs that use more memory than they may."""
        most = self._plan.limits.memory_bytes
        assert most is not None
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            leaders = {attempt.session_leader: attempt for attempt in self._attempts}
            leaders.pop(None, None)
            if not leaders:
                continue
            used: Counter[int] = Counter()
            for process in processes():
                used[process.session] += process.memory
            for leader, attempt in leaders.items():
                if leader is not None and used[leader] > most:
                    attempt.stop(Stop.MEMORY)


def _duration(seconds: float) -> Duration:
    found = Duration()
    found.FromNanoseconds(round(seconds * 1e9))
    return found
