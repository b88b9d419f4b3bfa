"""ExecutorService: keep executors."""

from __future__ import annotations

from typing_extensions import override

from jobyard.jobs.v1 import executor_service_pb2, executor_service_pb2_grpc
from jobyard_server.apis.jobs import mapping_catalog
from jobyard_server.apis.jobs.calling import current_call
from jobyard_server.apis.registration import Options
from jobyard_server.usecases.executors import delete_executor, get_executor, list_executors, put_executor
from jobyard_server.usecases.ports import Store


class ExecutorService(executor_service_pb2_grpc.ExecutorServiceServicer):
    """Answers ExecutorService by its use cases."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options

    @override
    async def PutExecutor(
        self, request: executor_service_pb2.PutExecutorRequest, context: object
    ) -> executor_service_pb2.PutExecutorResponse:
        new = mapping_catalog.new_executor(request.executor, current_call(), self._options)
        kept = await put_executor(self._store, new)
        return executor_service_pb2.PutExecutorResponse(executor=mapping_catalog.executor_message(kept))

    @override
    async def GetExecutor(
        self, request: executor_service_pb2.GetExecutorRequest, context: object
    ) -> executor_service_pb2.GetExecutorResponse:
        found = await get_executor(self._store, current_call(), request.id, api=request.api)
        return executor_service_pb2.GetExecutorResponse(executor=mapping_catalog.executor_message(found))

    @override
    async def ListExecutors(
        self, request: executor_service_pb2.ListExecutorsRequest, context: object
    ) -> executor_service_pb2.ListExecutorsResponse:
        page = await list_executors(
            self._store,
            current_call(),
            api=request.api or None,
            size=request.page_size,
            token=request.page_token,
        )
        return executor_service_pb2.ListExecutorsResponse(
            executors=map(mapping_catalog.executor_message, page.executors), next_page_token=page.next_page_token
        )

    @override
    async def DeleteExecutor(
        self, request: executor_service_pb2.DeleteExecutorRequest, context: object
    ) -> executor_service_pb2.DeleteExecutorResponse:
        await delete_executor(self._store, current_call(), request.id, api=request.api)
        return executor_service_pb2.DeleteExecutorResponse()
