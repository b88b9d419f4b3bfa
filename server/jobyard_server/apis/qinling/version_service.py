"""FunctionVersionService: functions as they were, under a number."""

from __future__ import annotations

from typing import Final

from google.api.httpbody_pb2 import HttpBody
from typing_extensions import override

from jobyard.qinling.v1 import version_service_pb2, version_service_pb2_grpc
from jobyard_server.apis.qinling import mapping, names, refusals, registry, scope
from jobyard_server.apis.qinling.functions import AliasSpec, find_function, find_version, records_of, versions_of
from jobyard_server.apis.registration import Options
from jobyard_server.domain.catalog import Definition
from jobyard_server.usecases.ports import Store, Tx

USES: Final = "The function version is still associated with"


class FunctionVersionService(version_service_pb2_grpc.FunctionVersionServiceServicer):
    """Answers calls about versions."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options

    @override
    async def CreateFunctionVersion(
        self, request: version_service_pb2.CreateFunctionVersionRequest, context: object
    ) -> version_service_pb2.CreateFunctionVersionResponse:
        call, id_ = scope.current_call(), names.path_id(request.function_id, "function_id")
        before = await find_function(self._store.read, call.tenant, id_)
        package = await self._store.read.blob(names.package_name(call.tenant, id_, 0)) or b""
        text = request.description if request.HasField("description") else None

        def create(tx: Tx) -> Definition:
            function = registry.locked_function(tx, call.tenant, id_)
            if function.revision != before.revision:
                raise refusals.not_now("The function was changed meanwhile; try again.")
            return registry.put_version(tx, self._store.signer, function, package, text, call.user)

        version = await self._store.run(create)
        return version_service_pb2.CreateFunctionVersionResponse(function_version=mapping.version_message(version, 0))

    @override
    async def ListFunctionVersions(
        self, request: version_service_pb2.ListFunctionVersionsRequest, context: object
    ) -> version_service_pb2.ListFunctionVersionsResponse:
        call, id_ = scope.current_call(), names.path_id(request.function_id, "function_id")
        found = await versions_of(self._store.read, call.tenant, id_)
        return version_service_pb2.ListFunctionVersionsResponse(
            function_versions=[await self._message(each) for each in found]
        )

    @override
    async def GetFunctionVersion(
        self, request: version_service_pb2.GetFunctionVersionRequest, context: object
    ) -> version_service_pb2.GetFunctionVersionResponse:
        call, number = scope.current_call(), request.version_number
        version = await find_version(self._store.read, call.tenant, request.function_id, number)
        if not request.download:
            return version_service_pb2.GetFunctionVersionResponse(function_version=await self._message(version))
        content = await self._store.read.blob(names.package_name(call.tenant, request.function_id, number))
        return version_service_pb2.GetFunctionVersionResponse(
            package=HttpBody(data=content or b""), file_name=f"{request.function_id}_{number}"
        )

    @override
    async def DeleteFunctionVersion(
        self, request: version_service_pb2.DeleteFunctionVersionRequest, context: object
    ) -> version_service_pb2.DeleteFunctionVersionResponse:
        call, id_ = scope.current_call(), names.path_id(request.function_id, "function_id")
        number, read = request.version_number, self._store.read
        await find_version(read, call.tenant, id_, number)
        if await registry.jobs_use(read, call.tenant, id_, number):
            raise refusals.in_use(f"{USES} running job(s).")
        for kind, thing in ((names.WEBHOOK, "webhook"), (names.ALIAS, "function alias(es)")):
            async for each in records_of(read, scope.Seen(call.tenant), kind):
                spec = AliasSpec.of(each.body)
                if (spec.function_id, spec.function_version) == (id_, number):
                    raise refusals.in_use(f"{USES} {thing}.")
        await self._store.run(lambda tx: registry.drop_version(tx, call.tenant, id_, number))
        return version_service_pb2.DeleteFunctionVersionResponse()

    async def _message(self, version: Definition) -> version_service_pb2.FunctionVersion:
        count = await registry.executions_of(self._store.read, version.tenant, version.id)
        return mapping.version_message(version, count)
