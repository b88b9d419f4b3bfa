"""Speaks ASGI to an application in the same process, as an HTTP server would."""

from __future__ import annotations

import asyncio
import gzip
import json
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Answer:
    """What came back."""

    status: int = 0
    lines: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    pieces: list[bytes] = field(default_factory=list)

    @property
    def headers(self) -> dict[str, str]:
        return dict(self.lines)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Client:
    """Sends requests to one application."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(
        self,
        verb: str,
        url: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        pieces: list[bytes] | None = None,
        leave_after: float | None = None,
        leave_at: bytes | None = None,
    ) -> Answer:
        """Send one request; a body that is no bytes is sent as JSON, `pieces` as a chunked body.

        The client leaves after so many seconds, or once the answer has begun and holds `leave_at`.
        """
        path, _, query = url.partition("?")
        lines = {"host": "shop.test", **{name.lower(): value for name, value in (headers or {}).items()}}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            lines.setdefault("content-type", "application/json")
        if pieces is not None:
            lines["transfer-encoding"] = "chunked"
        elif body is not None:
            lines["content-length"] = str(len(body))
        scope = {
            "type": "http",
            "method": verb,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in lines.items()],
            "client": ("10.0.0.7", 4711),
        }
        parts = pieces if pieces is not None else [body or b""]
        return await self._exchange(scope, parts, leave_after, leave_at)

    async def _exchange(
        self, scope: dict[str, Any], parts: list[bytes], leave_after: float | None, leave_at: bytes | None
    ) -> Answer:
        answer = Answer()
        waiting = list(parts)
        gone = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if waiting:
                part = waiting.pop(0)
                return {"type": "http.request", "body": part, "more_body": bool(waiting)}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(event: dict[str, Any]) -> None:
            if event["type"] == "http.response.start":
                assert answer.status == 0, "two status lines"
                answer.status = event["status"]
                answer.lines = [(name.decode(), value.decode()) for name, value in event["headers"]]
            else:
                assert answer.status, "a body before its status line"
                answer.pieces.append(event.get("body", b""))
            if leave_at is not None and leave_at in b"".join(answer.pieces):
                gone.set()

        if leave_after is not None:
            asyncio.get_running_loop().call_later(leave_after, gone.set)
        await asyncio.wait_for(self.app(scope, receive, send), 60)
        answer.body = b"".join(answer.pieces)
        if answer.headers.get("content-encoding") == "gzip":
            answer.body = gzip.decompress(answer.body)
        return answer
