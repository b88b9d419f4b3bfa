"""Calls of the worker to the server, repeated until they are answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeVar

import grpc

from jobyard_server.client import failure
from jobyard_server.client.failure import Failure
from jobyard_server.client.retry import Backoff

BROKEN_SECONDS: Final = 20.0
"""A server that answers, but with mistakes of its own, is not asked for longer."""

Request = TypeVar("Request", contravariant=True)  # noqa: PLC0105 - one name for what is sent
Response = TypeVar("Response", covariant=True)  # noqa: PLC0105 - one name for what comes back
Sent = TypeVar("Sent")
Got = TypeVar("Got")


class FailedError(Exception):
    """The server refused, or could not be reached for too long."""

    def __init__(self, told: Failure) -> None:
        super().__init__(told.message)
        self.failure = told


class Method(Protocol[Request, Response]):
    """A method of a generated stub that takes one message and returns one."""

    def __call__(self, request: Request, *, timeout: float, metadata: Any) -> Awaitable[Response]:
        """Call it."""


class Calls:
    """Calls the server with the worker's credentials."""

    def __init__(self, metadata: tuple[tuple[str, str], ...]) -> None:
        self._metadata = metadata

    async def once(self, method: Method[Sent, Got], request: Sent, seconds: float) -> Got:
        """Call once; raises FailedError."""
        try:
            return await method(request, timeout=seconds, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise FailedError(failure.of_error(error)) from None

    async def patiently(
        self, method: Method[Sent, Got], request: Sent, *, seconds: float = 10.0, patience: Callable[[], float]
    ) -> Got:
        """Call again while failures may pass; the method must bear repetition.

        ``patience`` is asked after every failure for how many seconds all of it may take.
        """
        backoff = Backoff()
        clock = asyncio.get_running_loop().time
        began = well = clock()
        while True:
            try:
                return await self.once(method, request, seconds)
            except FailedError as error:
                wait = backoff.after(error.failure)
                if not error.failure.broken:
                    well = clock()
                given_up = clock() + wait - began > patience() or clock() + wait - well > BROKEN_SECONDS
                if given_up or not error.failure.passing:
                    raise
            await asyncio.sleep(wait)
