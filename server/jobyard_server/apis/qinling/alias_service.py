"""FunctionAliasService: names for versions of functions."""

from __future__ import annotations

import dataclasses

from typing_extensions import override

from jobyard.qinling.v1 import alias_service_pb2, alias_service_pb2_grpc
from jobyard_server.apis.qinling import mapping, names, refusals, scope
from jobyard_server.apis.qinling.functions import AliasSpec, find_alias, find_target, records_of
from jobyard_server.apis.registration import Options
from jobyard_server.domain.catalog import Record
from jobyard_server.domain.reason import Reason, refuse
from jobyard_server.usecases.ports import Store, Tx


class FunctionAliasService(alias_service_pb2_grpc.FunctionAliasServiceServicer):
    """Answers calls about aliases."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options

    @override
    async def CreateFunctionAlias(
        self, request: alias_service_pb2.CreateFunctionAliasRequest, context: object
    ) -> alias_service_pb2.CreateFunctionAliasResponse:
        call = scope.current_call()
        names.check_uuids(request)
        if not (request.name and request.function_id):
            raise refusals.wrong("name", "Required param is missing. Required: {'function_id', 'name'}")
        spec = AliasSpec(
            uid=names.new_id(),
            description=request.description if request.HasField("description") else None,
            function_id=request.function_id,
            function_version=request.function_version,
        )
        await self._check(call.tenant, request.name, spec)

        def create(tx: Tx) -> Record:
            if tx.record(names.API, call.tenant, names.ALIAS, request.name) is not None:
                raise _duplicate("project_id", "name")
            return tx.put_record(names.API, call.tenant, names.ALIAS, request.name, spec.text(), by=call.user)

        record = await self._store.run(create)
        return alias_service_pb2.CreateFunctionAliasResponse(function_alias=mapping.alias_message(record))

    @override
    async def ListFunctionAliases(
        self, request: alias_service_pb2.ListFunctionAliasesRequest, context: object
    ) -> alias_service_pb2.ListFunctionAliasesResponse:
        project = request.project_id if request.HasField("project_id") else None
        seen = scope.seen(scope.current_call(), all_projects=request.all_projects, project_id=project)
        found = records_of(self._store.read, seen, names.ALIAS)
        shown = await scope.told(mapping.alias_message(each) async for each in found)
        return alias_service_pb2.ListFunctionAliasesResponse(function_aliases=shown)

    @override
    async def GetFunctionAlias(
        self, request: alias_service_pb2.GetFunctionAliasRequest, context: object
    ) -> alias_service_pb2.GetFunctionAliasResponse:
        record = await find_alias(self._store.read, scope.current_call().tenant, request.name)
        return alias_service_pb2.GetFunctionAliasResponse(function_alias=mapping.alias_message(record))

    @override
    async def UpdateFunctionAlias(
        self, request: alias_service_pb2.UpdateFunctionAliasRequest, context: object
    ) -> alias_service_pb2.UpdateFunctionAliasResponse:
        call = scope.current_call()
        if request.HasField("function_id"):
            names.read_uuid(request.function_id)
        found = await find_alias(self._store.read, call.tenant, request.name)
        spec = before = AliasSpec.of(found.body)
        if request.HasField("function_id"):
            spec = dataclasses.replace(spec, function_id=request.function_id)
        if request.HasField("function_version"):
            spec = dataclasses.replace(spec, function_version=request.function_version)
        if request.HasField("description"):
            spec = dataclasses.replace(spec, description=request.description)
        if (spec.function_id, spec.function_version) != (before.function_id, before.function_version):
            await self._check(call.tenant, request.name, spec)

        def update(tx: Tx) -> Record:
            if tx.record(names.API, call.tenant, names.ALIAS, request.name) is None:
                raise refusals.alias_unknown(request.name)
            if spec == before:
                return found
            return tx.put_record(names.API, call.tenant, names.ALIAS, request.name, spec.text(), by=call.user)

        record = await self._store.run(update)
        return alias_service_pb2.UpdateFunctionAliasResponse(function_alias=mapping.alias_message(record))

    @override
    async def DeleteFunctionAlias(
        self, request: alias_service_pb2.DeleteFunctionAliasRequest, context: object
    ) -> alias_service_pb2.DeleteFunctionAliasResponse:
        call = scope.current_call()
        if not await self._store.run(lambda tx: tx.delete_record(names.API, call.tenant, names.ALIAS, request.name)):
            raise refusals.alias_unknown(request.name)
        return alias_service_pb2.DeleteFunctionAliasResponse()

    async def _check(self, tenant: str, name: str, spec: AliasSpec) -> None:
        """Refuse an alias that leads nowhere, or where another one leads."""
        read = self._store.read
        await find_target(read, tenant, function_id=spec.function_id, alias=None, version=spec.function_version)
        async for each in records_of(read, scope.Seen(tenant), names.ALIAS):
            other = AliasSpec.of(each.body)
            same = (other.function_id, other.function_version) == (spec.function_id, spec.function_version)
            if same and each.id != name:
                raise _duplicate("project_id", "function_id", "function_version")


def _duplicate(*columns: str) -> refusals.Refused:
    return refuse(Reason.ALREADY_EXISTS, f"Duplicate entry for function_aliases: {list(columns)}")
