"""Bounds how many HTTP connections one address may have, so that nobody takes those of all others."""

from __future__ import annotations

import asyncio
from typing import Final

from typing_extensions import override

from jobyard_server.transcoding.http_connection import LINGER_SECONDS, Connection

_TEXT: Final = b"Too many connections from this address."
_ANSWER: Final = (
    b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(_TEXT), _TEXT)
)


def bounded(most: int) -> type[Connection]:
    """The protocol of a server that takes so many connections from one address; 0: any number."""
    if not most:
        return Connection
    counts: dict[str, int] = {}

    class Counted(Connection):
        """A connection that counts for its address until it is lost."""

        _host: str | None = None

        @override
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # TCP only
            super().connection_made(transport)
            client = self._scope["client"]
            if client is None:
                return
            self._host = client[0]
            counts[client[0]] = counts.get(client[0], 0) + 1
            if counts[client[0]] > most:
                self._send_away()

        @override
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            if self._host is not None:
                counts[self._host] -= 1
                if not counts[self._host]:
                    del counts[self._host]

        def _send_away(self) -> None:
            """Answer before anything is asked; a client cut off at once would hear nothing."""
            self._deaf = True
            self._lingered = 0
            self._transport.write(_ANSWER)
            if self._transport.can_write_eof():
                self._transport.write_eof()
            self.loop.call_later(LINGER_SECONDS, self._transport.close)

    return Counted
