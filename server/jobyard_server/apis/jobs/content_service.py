"""ContentService: payloads and results too large for a message."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from google.api import httpbody_pb2
from typing_extensions import override

from jobyard.jobs.v1 import content_service_pb2, content_service_pb2_grpc
from jobyard_server.apis.jobs import mapping
from jobyard_server.apis.jobs.calling import current_call
from jobyard_server.apis.registration import Options
from jobyard_server.domain.reason import invalid
from jobyard_server.usecases import contents
from jobyard_server.usecases.ports import Store


class ContentService(content_service_pb2_grpc.ContentServiceServicer):
    """Answers ContentService by its use cases."""

    def __init__(self, store: Store, _options: Options) -> None:
        self._store = store

    @override
    async def GetPayload(
        self, request: content_service_pb2.GetPayloadRequest, context: object
    ) -> AsyncIterator[content_service_pb2.GetPayloadResponse]:
        async with aclosing(contents.payload(self._store, current_call(), request.token)) as pieces:
            async for piece in pieces:
                yield content_service_pb2.GetPayloadResponse(content=httpbody_pb2.HttpBody(data=piece))

    @override
    async def PutResult(
        self, request: AsyncIterator[content_service_pb2.PutResultRequest], context: object
    ) -> content_service_pb2.PutResultResponse:
        first = await anext(request, None)
        if first is None or not first.token:
            raise invalid("token", "is required in the first message")
        async with aclosing(_data(first, request)) as pieces:
            size = await contents.keep_result(self._store, current_call(), first.token, pieces)
        return content_service_pb2.PutResultResponse(received=size)

    @override
    async def GetResult(
        self, request: content_service_pb2.GetResultRequest, context: object
    ) -> AsyncIterator[content_service_pb2.GetResultResponse]:
        found = contents.result(self._store, current_call(), mapping.job_ref(request.job), request.subjob)
        async with aclosing(found) as pieces:
            async for piece in pieces:
                yield content_service_pb2.GetResultResponse(content=httpbody_pb2.HttpBody(data=piece))


async def _data(
    first: content_service_pb2.PutResultRequest, more: AsyncIterator[content_service_pb2.PutResultRequest]
) -> AsyncGenerator[bytes, None]:
    yield first.content.data
    async for message in more:
        yield message.content.data
