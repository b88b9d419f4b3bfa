"""Payloads and results too large for a message, on their way between the server and the files of an attempt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from google.api import httpbody_pb2

from jobyard.jobs.v1 import content_service_pb2, worker_lease_pb2
from jobyard_server.worker import payload
from jobyard_server.worker.calls import Calls

if TYPE_CHECKING:
    # Exists for type checkers alone.
    from jobyard.jobs.v1.content_service_pb2_grpc import ContentServiceAsyncStub

PIECE: Final = 256 * 1024
SECONDS: Final = 300.0
"""Longest time for one of them to travel."""


class Contents:
    """Moves what is large for the attempts of one worker."""

    def __init__(self, stub: ContentServiceAsyncStub, calls: Calls) -> None:
        self._stub = stub
        self._calls = calls

    async def fetch(self, lease: worker_lease_pb2.Lease, folder: Path, patience: Callable[[], float]) -> None:
        """Write a large payload to its file; raises FailedError."""

        async def get(request: content_service_pb2.GetPayloadRequest, *, timeout: float, metadata: Any) -> None:  # noqa: ASYNC109 - that of gRPC
            with payload.place(folder).open("wb") as file:
                async for response in self._stub.GetPayload(request, timeout=timeout, metadata=metadata):
                    file.write(response.content.data)

        request = content_service_pb2.GetPayloadRequest(token=lease.token)
        await self._calls.patiently(get, request, seconds=SECONDS, patience=patience)

    async def send(self, lease: worker_lease_pb2.Lease, file: Path, patience: Callable[[], float]) -> None:
        """Send a large result; raises FailedError."""

        async def put(request: Path, *, timeout: float, metadata: Any) -> None:  # noqa: ASYNC109 - that of gRPC
            pieces = _pieces(lease.token, request)
            await self._stub.PutResult(pieces, timeout=timeout, metadata=metadata)

        await self._calls.patiently(put, file, seconds=SECONDS, patience=patience)


def _pieces(token: str, file: Path) -> Iterator[content_service_pb2.PutResultRequest]:
    with file.open("rb") as opened:
        while data := opened.read(PIECE):
            yield content_service_pb2.PutResultRequest(token=token, content=httpbody_pb2.HttpBody(data=data))
            token = ""
