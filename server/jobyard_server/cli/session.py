"""One connection of a command to its server, with errors turned into words."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

import grpc

from jobyard.jobs.v1.definition_service_pb2_grpc import DefinitionServiceStub
from jobyard.jobs.v1.executor_service_pb2_grpc import ExecutorServiceStub
from jobyard.jobs.v1.job_service_pb2_grpc import JobServiceStub
from jobyard.jobs.v1.queue_service_pb2_grpc import QueueServiceStub
from jobyard.jobs.v1.record_service_pb2_grpc import RecordServiceStub
from jobyard_server.cli.errors import CommandError, UsageError, of_failure
from jobyard_server.client.channel import Address, AddressError
from jobyard_server.client.failure import Failure, of_error
from jobyard_server.client.retry import Backoff

Sent = TypeVar("Sent", contravariant=True)  # noqa: PLC0105 - one name for what is sent
Got = TypeVar("Got", covariant=True)  # noqa: PLC0105 - one name for what comes back
Request = TypeVar("Request")
Response = TypeVar("Response")
Outcome = TypeVar("Outcome")


class Stream(AsyncIterable[Got], Protocol[Got]):
    """A stream of messages that is being read."""

    def cancel(self) -> bool:
        """Read no more of it."""


class Unary(Protocol[Sent, Got]):
    """A method that returns one message."""

    def __call__(self, request: Sent, *, timeout: float, metadata: Any) -> Awaitable[Got]:
        """Call it."""


class Streaming(Protocol[Sent, Got]):
    """A method that returns a stream of messages."""

    def __call__(self, request: Sent, *, metadata: Any) -> Stream[Got]:
        """Call it."""


class Session:
    """The server, as commands see it."""

    def __init__(self, address: Address, channel: grpc.aio.Channel) -> None:
        self.address = address
        self.channel = channel
        self.jobs = JobServiceStub(channel)
        self.definitions = DefinitionServiceStub(channel)
        self.executors = ExecutorServiceStub(channel)
        self.queues = QueueServiceStub(channel)
        self.records = RecordServiceStub(channel)

    async def call(
        self, method: Unary[Request, Response], request: Request, *, seconds: float = 30.0, retry_for: float = 0.0
    ) -> Response:
        """Call a method; what passes is tried again for some time, which the method must bear."""
        backoff = Backoff(most=2.0)
        clock = asyncio.get_running_loop().time
        began = clock()
        while True:
            try:
                return await method(request, timeout=seconds, metadata=self.address.metadata)
            except grpc.aio.AioRpcError as error:
                failure = of_error(error)
                wait = backoff.after(failure)
                if not failure.passing or clock() - began + wait > retry_for:
                    raise RefusedError(failure, self.address.target) from None
            await asyncio.sleep(wait)

    async def stream(self, method: Streaming[Request, Response], request: Request) -> AsyncGenerator[Response, None]:
        """Read a stream to its end."""
        call = method(request, metadata=self.address.metadata)
        try:
            async for message in call:
                yield message
        except grpc.aio.AioRpcError as error:
            raise RefusedError(of_error(error), self.address.target) from None
        finally:
            call.cancel()


class RefusedError(CommandError):
    """The server refused a call, or could not be reached."""

    def __init__(self, failure: Failure, server: str) -> None:
        told = of_failure(failure, server)
        super().__init__(told.message, *told.notes, code=told.code)
        self.failure = failure


def raise_all(refused: Sequence[RefusedError]) -> None:
    """Tell what was refused, if anything was."""
    for error in refused[1:]:
        error.show()
    if refused:
        raise refused[0]


class Reconnecting:
    """What a command that follows something does between two connections: wait, and give up after some time."""

    def __init__(self, retry_for: float | None) -> None:
        self._retry_for = retry_for
        self._backoff = Backoff(first=0.2, most=3.0)
        self._since: float | None = None

    def heard(self) -> None:
        """The server answered."""
        self._since = None
        self._backoff.reset()

    async def after(self, error: RefusedError) -> None:
        """Wait before the next attempt; raises the error when that would not help, or was tried long enough."""
        if not error.failure.passing:
            raise error
        now = asyncio.get_running_loop().time()
        if self._since is None:
            self._since = now
            if sys.stderr.isatty():
                print(f"waiting for the server: {error.failure.message}", file=sys.stderr)
        if self._retry_for is not None and now - self._since >= self._retry_for:
            raise error
        await asyncio.sleep(self._backoff.after(error.failure))


def execute(address: Callable[[], Address], work: Callable[[Session], Coroutine[Any, Any, Outcome]]) -> Outcome:
    """Run a command against a server."""

    async def connected() -> Outcome:
        try:
            found = address()
            opened = found.open()
        except AddressError as error:
            raise UsageError(str(error)) from None
        except OSError as error:
            # A certificate or key of the environment.
            raise CommandError(f"{error.filename} cannot be read: {error.strerror}") from None
        async with opened as channel:
            return await work(Session(found, channel))

    return asyncio.run(connected())
