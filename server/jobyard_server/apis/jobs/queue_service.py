"""QueueService: keep queues."""

from __future__ import annotations

from typing_extensions import override

from jobyard.jobs.v1 import queue_service_pb2, queue_service_pb2_grpc
from jobyard_server.apis.jobs import mapping_catalog
from jobyard_server.apis.registration import Options
from jobyard_server.usecases.ports import Store
from jobyard_server.usecases.queues import delete_queue, get_queue, list_queues, put_queue


class QueueService(queue_service_pb2_grpc.QueueServiceServicer):
    """Answers QueueService by its use cases."""

    def __init__(self, store: Store, _options: Options) -> None:
        self._store = store

    @override
    async def PutQueue(
        self, request: queue_service_pb2.PutQueueRequest, context: object
    ) -> queue_service_pb2.PutQueueResponse:
        new = mapping_catalog.queue(request.queue)
        kept = await put_queue(self._store, new)
        return queue_service_pb2.PutQueueResponse(queue=mapping_catalog.queue_message(kept))

    @override
    async def GetQueue(
        self, request: queue_service_pb2.GetQueueRequest, context: object
    ) -> queue_service_pb2.GetQueueResponse:
        found = await get_queue(self._store, request.name)
        return queue_service_pb2.GetQueueResponse(queue=mapping_catalog.queue_message(found))

    @override
    async def ListQueues(
        self, request: queue_service_pb2.ListQueuesRequest, context: object
    ) -> queue_service_pb2.ListQueuesResponse:
        page = await list_queues(self._store, size=request.page_size, token=request.page_token)
        return queue_service_pb2.ListQueuesResponse(
            queues=map(mapping_catalog.queue_message, page.queues), next_page_token=page.next_page_token
        )

    @override
    async def DeleteQueue(
        self, request: queue_service_pb2.DeleteQueueRequest, context: object
    ) -> queue_service_pb2.DeleteQueueResponse:
        await delete_queue(self._store, request.name)
        return queue_service_pb2.DeleteQueueResponse()
