"""RuntimeService: which workers there are for functions."""

from __future__ import annotations

import json

from typing_extensions import override

from jobyard.qinling.v1 import runtime_service_pb2, runtime_service_pb2_grpc
from jobyard_server.apis.qinling import mapping, names, refusals, runtimes, scope
from jobyard_server.apis.qinling.functions import FunctionSpec, functions_of
from jobyard_server.apis.registration import Options
from jobyard_server.domain.catalog import NewExecutor
from jobyard_server.usecases.ports import Store


class RuntimeService(runtime_service_pb2_grpc.RuntimeServiceServicer):
    """Answers calls about runtimes."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options

    @override
    async def CreateRuntime(
        self, request: runtime_service_pb2.CreateRuntimeRequest, context: object
    ) -> runtime_service_pb2.CreateRuntimeResponse:
        call = scope.current_call()
        if not request.image:
            raise refusals.wrong("image", "Required param is missing. Required: {'image'}")
        spec = {
            "name": request.name if request.HasField("name") else None,
            "description": request.description if request.HasField("description") else None,
            "is_public": request.is_public if request.HasField("is_public") else True,
            "trusted": request.trusted if request.HasField("trusted") else True,
        }
        queue = names.queue_of(request.image)
        new = NewExecutor(
            names.API, call.tenant, call.user, names.new_id(), names.RUNTIME, queue=queue, spec=json.dumps(spec)
        )
        executor = await self._store.run(lambda tx: tx.put_executor(new))
        return runtime_service_pb2.CreateRuntimeResponse(runtime=mapping.runtime_message(executor))

    @override
    async def ListRuntimes(
        self, request: runtime_service_pb2.ListRuntimesRequest, context: object
    ) -> runtime_service_pb2.ListRuntimesResponse:
        found = await runtimes.seen(self._store.read, scope.current_call())
        return runtime_service_pb2.ListRuntimesResponse(runtimes=map(mapping.runtime_message, found))

    @override
    async def GetRuntime(
        self, request: runtime_service_pb2.GetRuntimeRequest, context: object
    ) -> runtime_service_pb2.GetRuntimeResponse:
        executor = await runtimes.find(self._store.read, scope.current_call(), names.path_id(request.id))
        return runtime_service_pb2.GetRuntimeResponse(runtime=mapping.runtime_message(executor))

    @override
    async def UpdateRuntime(
        self, request: runtime_service_pb2.UpdateRuntimeRequest, context: object
    ) -> runtime_service_pb2.UpdateRuntimeResponse:
        call, id_ = scope.current_call(), names.path_id(request.id)
        before = await runtimes.find(self._store.read, call, id_)
        _refuse_own(id_)
        spec = json.loads(before.spec)
        for name in ("name", "description"):
            if request.HasField(name):
                spec[name] = getattr(request, name)
        queue = names.queue_of(request.image) if request.HasField("image") else before.queue
        if queue != before.queue and await self._used(id_):
            raise refusals.in_use(f"Runtime {id_} is still in use by functions.")
        new = NewExecutor(
            names.API, before.tenant, call.user, id_, names.RUNTIME, queue=queue, spec=json.dumps(spec)
        )  # fmt: skip
        executor = await self._store.run(lambda tx: tx.put_executor(new))
        return runtime_service_pb2.UpdateRuntimeResponse(runtime=mapping.runtime_message(executor))

    @override
    async def DeleteRuntime(
        self, request: runtime_service_pb2.DeleteRuntimeRequest, context: object
    ) -> runtime_service_pb2.DeleteRuntimeResponse:
        call, id_ = scope.current_call(), names.path_id(request.id)
        executor = await runtimes.find(self._store.read, call, id_)
        _refuse_own(id_)
        if await self._used(id_):
            raise refusals.in_use(f"Runtime {id_} is still in use.")
        await self._store.run(lambda tx: tx.delete_executor(names.API, executor.tenant, id_))
        return runtime_service_pb2.DeleteRuntimeResponse()

    async def _used(self, id_: str) -> bool:
        async for each in functions_of(self._store.read, scope.Seen(None)):
            if FunctionSpec.of(each.spec).runtime_id == id_:
                return True
        return False


def _refuse_own(id_: str) -> None:
    if id_ == names.PYTHON_RUNTIME:
        raise refusals.in_use("The runtime of the server itself cannot be changed.")
