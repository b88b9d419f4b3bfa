"""Publishes CloudEvents to NATS JetStream, in binary mode: what is acknowledged is stored there."""

from __future__ import annotations

import asyncio
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

import nats
from nats.errors import Error, MaxPayloadError
from nats.js.errors import APIError, NoStreamResponseError

from jobyard_server.domain.delivery import Answer, Problem

if TYPE_CHECKING:
    from nats.aio.client import Client

    from jobyard_server.domain.delivery import MessageCall
    from jobyard_server.result_settings import BrokerSettings

JSON: Final = "application/json"
MOST_BYTES: Final = 1024 * 1024 - 16 * 1024
"""NATS takes 1 MiB unless told otherwise; headers count."""
CONNECT_SECONDS: Final = 5


class Nats:
    """One connection, made when there is something to publish."""

    def __init__(self, settings: BrokerSettings) -> None:
        self._settings = settings
        self._client: Client | None = None
        self._connecting = asyncio.Lock()

    @property
    def most_bytes(self) -> int:
        """Largest message."""
        return MOST_BYTES

    def serves(self, topic: str) -> bool:
        """Whether a topic is one of those that were named."""
        return any(fnmatchcase(topic, pattern) for pattern in self._settings.topics)

    async def publish(self, call: MessageCall, uid: str, seconds: float) -> Answer:
        """Publish an event; says how it went and never fails. Sent again under one uid it is stored once."""
        try:
            async with asyncio.timeout(seconds):
                stream = (await self._connected()).jetstream()
                headers = {
                    f"ce-{name}": value
                    for name, value in {**call.attributes, "id": uid, "datacontenttype": JSON}.items()
                }
                await stream.publish(call.topic, call.data, headers={**headers, "Nats-Msg-Id": uid}, timeout=seconds)
        except MaxPayloadError:
            return Answer(status=413, message="the message is too large for the broker")
        except NoStreamResponseError:
            return Answer(status=404, message="no stream of the broker takes this topic")
        except TimeoutError:
            return Answer(problem=Problem.TIMED_OUT, message=f"not acknowledged within {seconds:g} seconds")
        except (Error, APIError, OSError) as problem:
            return Answer(problem=Problem.UNREACHABLE, message=f"the broker failed: {type(problem).__name__}")
        return Answer(status=200)

    async def close(self) -> None:
        """Let go of the connection."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _connected(self) -> Client:
        async with self._connecting:
            if self._client is None or self._client.is_closed:
                token = self._settings.token.get_secret_value() if self._settings.token else None
                self._client = await nats.connect(
                    self._settings.url,
                    name="jobyard",
                    token=token,
                    user_credentials=str(self._settings.credentials) if self._settings.credentials else None,
                    connect_timeout=CONNECT_SECONDS,
                    allow_reconnect=True,
                    max_reconnect_attempts=-1,
                    error_cb=_ignore,
                )
            return self._client


async def _ignore(_problem: Exception) -> None:
    """What goes wrong is told by the call that it happens to."""
