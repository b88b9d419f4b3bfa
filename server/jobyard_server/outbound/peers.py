"""Makes every kind of call that leaves: HTTP to peers, objects into buckets, events to topics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self
from uuid import uuid4

from jobyard_server.domain.delivery import Answer, HttpCall, MessageCall, ObjectCall, Problem
from jobyard_server.usecases.ports.results import Topics

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from jobyard_server.domain.delivery import OpenAnswer, PeerCall
    from jobyard_server.outbound.client import HttpClient
    from jobyard_server.outbound.objects import Objects
    from jobyard_server.result_settings import BrokerSettings, ObjectSettings


class Broker(Topics, Protocol):
    """A broker of any make."""

    async def publish(self, call: MessageCall, uid: str, seconds: float) -> Answer:
        """Publish an event."""

    async def close(self) -> None:
        """Let go of the connection."""


class Peers:
    """Everybody who is called."""

    def __init__(self, http: HttpClient, objects: Objects | None, broker: Broker | None) -> None:
        self._http = http
        self.objects = objects
        self.topics = broker

    @classmethod
    def of(cls, http: HttpClient, objects: ObjectSettings | None, broker: BrokerSettings | None) -> Self:
        """As the settings have it; ``ModuleNotFoundError`` for a broker whose library is not installed."""
        chosen: Broker | None = None
        if broker is not None:
            from jobyard_server.outbound.brokers.nats import Nats  # noqa: PLC0415 - an extra: most publish to nobody

            chosen = Nats(broker)
        buckets: Objects | None = None
        if objects is not None:
            from jobyard_server.outbound.objects import Objects  # noqa: PLC0415 - its library is large

            buckets = Objects(objects)
        return cls(http, buckets, chosen)

    def open(self) -> None:
        """Begin; in a running event loop."""
        self._http.open()

    async def close(self) -> None:
        """Close every connection."""
        await self._http.close()
        if self.topics is not None:
            await self.topics.close()

    async def ask(self, call: HttpCall, seconds: float) -> Answer:
        """Call a peer that somebody waits for."""
        return await self._http.call(call, str(uuid4()), seconds)

    def fetch(self, call: HttpCall, seconds: float) -> AbstractAsyncContextManager[OpenAnswer]:
        """Do the same, and read the body of the answer while it comes."""
        return self._http.open_call(call, str(uuid4()), seconds)

    async def call(self, call: PeerCall, uid: str, seconds: float) -> Answer:
        """Make a call, and say what came back; it never fails."""
        match call:
            case HttpCall():
                return await self._http.call(call, uid, seconds)
            case ObjectCall() if self.objects is not None:
                return await self.objects.put(call, seconds)
            case MessageCall() if self.topics is not None:
                return await self.topics.publish(call, uid, seconds)
        return Answer(problem=Problem.ADDRESS_REFUSED, message="this server has nowhere to send it")
