"""Makes every kind of call that leaves: HTTP to peers, objects into buckets, events to topics.

Each library is loaded with the first call that needs it: they are large, and many servers call nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol, Self
from uuid import uuid4

from jobyard_server.domain.delivery import Answer, HttpCall, MessageCall, ObjectCall, Problem
from jobyard_server.usecases.ports.results import Topics

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobyard_server.domain.delivery import OpenAnswer, PeerCall
    from jobyard_server.outbound.client import HttpClient
    from jobyard_server.outbound.objects import Objects
    from jobyard_server.outbound.policy import AddressPolicy
    from jobyard_server.outbound.token_file import TokenFile
    from jobyard_server.result_settings import BrokerSettings, ObjectSettings


class Broker(Topics, Protocol):
    """A broker of any make."""

    async def publish(self, call: MessageCall, uid: str, seconds: float) -> Answer:
        """Publish an event."""

    async def close(self) -> None:
        """Let go of the connection."""


class Peers:
    """Everybody who is called."""

    def __init__(self, http: Callable[[], HttpClient], objects: Objects | None, broker: Broker | None) -> None:
        """``http`` loads the client; it is called in a thread."""
        self._load = http
        self._http: HttpClient | None = None
        self._closed = False
        self.objects = objects
        self.topics = broker

    @classmethod
    def of(
        cls,
        policy: AddressPolicy,
        token_file: TokenFile,
        proxy: str,
        objects: ObjectSettings | None,
        broker: BrokerSettings | None,
    ) -> Self:
        """As the settings have it; ``ModuleNotFoundError`` for a broker whose library is not installed."""

        def http() -> HttpClient:
            from jobyard_server.outbound.client import HttpClient  # noqa: PLC0415 - many servers call nobody

            return HttpClient(policy, token_file, proxy)

        chosen: Broker | None = None
        if broker is not None:
            from jobyard_server.outbound.brokers.nats import Nats  # noqa: PLC0415 - an extra: most publish to nobody

            chosen = Nats(broker)
        buckets: Objects | None = None
        if objects is not None:
            from jobyard_server.outbound.objects import Objects  # noqa: PLC0415 - its library is large

            buckets = Objects(objects)
        return cls(http, buckets, chosen)

    async def close(self) -> None:
        """Close every connection."""
        self._closed = True
        if self._http is not None:
            await self._http.close()
        if self.topics is not None:
            await self.topics.close()

    async def ask(self, call: HttpCall, seconds: float) -> Answer:
        """Call a peer that somebody waits for."""
        return await (await self._client()).call(call, str(uuid4()), seconds)

    @asynccontextmanager
    async def fetch(self, call: HttpCall, seconds: float) -> AsyncIterator[OpenAnswer]:
        """Do the same, and read the body of the answer while it comes."""
        async with (await self._client()).open_call(call, str(uuid4()), seconds) as opened:
            yield opened

    async def call(self, call: PeerCall, uid: str, seconds: float) -> Answer:
        """Make a call, and say what came back; it never fails."""
        match call:
            case HttpCall():
                return await (await self._client()).call(call, uid, seconds)
            case ObjectCall() if self.objects is not None:
                return await self.objects.put(call, seconds)
            case MessageCall() if self.topics is not None:
                return await self.topics.publish(call, uid, seconds)
        return Answer(problem=Problem.ADDRESS_REFUSED, message="this server has nowhere to send it")

    async def _client(self) -> HttpClient:
        if self._http is None:
            loaded = await asyncio.to_thread(self._load)
            # Others may have been as early; and one that was closed answers that it is.
            if self._http is None:
                self._http = loaded
                if not self._closed:
                    loaded.open()
        return self._http
