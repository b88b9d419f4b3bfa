"""WebhookService: addresses at which functions are executed."""

from __future__ import annotations

import dataclasses
import json

from typing_extensions import override

from jobyard.qinling.v1 import webhook_service_pb2, webhook_service_pb2_grpc
from jobyard_server.apis.qinling import mapping, names, refusals, scope
from jobyard_server.apis.qinling.executions import BY_WEBHOOK, new_execution
from jobyard_server.apis.qinling.functions import AliasSpec, find_target, records_of
from jobyard_server.apis.registration import Options
from jobyard_server.domain.catalog import Record
from jobyard_server.usecases.ports import Store, Tx


class WebhookService(webhook_service_pb2_grpc.WebhookServiceServicer):
    """Answers calls about webhooks, and the calls of webhooks."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options

    @override
    async def CreateWebhook(
        self, request: webhook_service_pb2.CreateWebhookRequest, context: object
    ) -> webhook_service_pb2.CreateWebhookResponse:
        call = scope.current_call()
        names.check_uuids(request)
        if not (request.function_alias or request.function_id):
            raise refusals.wrong("function_id", "Either function_alias or function_id must be provided.")
        text = request.description if request.HasField("description") else None
        spec = AliasSpec(description=text)
        version = request.function_version if request.HasField("function_version") else None
        spec = _pointed(spec, request.function_alias, request.function_id, version)
        await self._check(call.tenant, spec)
        id_ = names.new_id()

        def create(tx: Tx) -> Record:
            tx.put_record(names.API, names.NOBODY, names.ADDRESS, id_, json.dumps(call.tenant), by=call.user)
            return tx.put_record(names.API, call.tenant, names.WEBHOOK, id_, spec.text(), by=call.user)

        record = await self._store.run(create)
        return webhook_service_pb2.CreateWebhookResponse(webhook=mapping.webhook_message(record))

    @override
    async def ListWebhooks(
        self, request: webhook_service_pb2.ListWebhooksRequest, context: object
    ) -> webhook_service_pb2.ListWebhooksResponse:
        project = request.project_id if request.HasField("project_id") else None
        seen = scope.seen(scope.current_call(), all_projects=request.all_projects, project_id=project)
        found = records_of(self._store.read, seen, names.WEBHOOK)
        shown = await scope.told(mapping.webhook_message(each) async for each in found)
        return webhook_service_pb2.ListWebhooksResponse(webhooks=shown)

    @override
    async def GetWebhook(
        self, request: webhook_service_pb2.GetWebhookRequest, context: object
    ) -> webhook_service_pb2.GetWebhookResponse:
        record = await self._find(scope.current_call().tenant, names.path_id(request.id))
        return webhook_service_pb2.GetWebhookResponse(webhook=mapping.webhook_message(record))

    @override
    async def UpdateWebhook(
        self, request: webhook_service_pb2.UpdateWebhookRequest, context: object
    ) -> webhook_service_pb2.UpdateWebhookResponse:
        call, id_ = scope.current_call(), names.path_id(request.id)
        if request.HasField("function_id"):
            names.read_uuid(request.function_id)
        found = await self._find(call.tenant, id_)
        spec = before = AliasSpec.of(found.body)
        if request.HasField("description"):
            spec = dataclasses.replace(spec, description=request.description)
        if request.function_alias or request.HasField("function_id") or request.HasField("function_version"):
            version = request.function_version if request.HasField("function_version") else spec.function_version
            spec = _pointed(spec, request.function_alias, request.function_id or spec.function_id or "", version)
            await self._check(call.tenant, spec)

        def update(tx: Tx) -> Record:
            if tx.record(names.API, call.tenant, names.WEBHOOK, id_) is None:
                raise refusals.webhook_unknown(id_)
            if spec == before:
                return found
            return tx.put_record(names.API, call.tenant, names.WEBHOOK, id_, spec.text(), by=call.user)

        record = await self._store.run(update)
        return webhook_service_pb2.UpdateWebhookResponse(webhook=mapping.webhook_message(record))

    @override
    async def DeleteWebhook(
        self, request: webhook_service_pb2.DeleteWebhookRequest, context: object
    ) -> webhook_service_pb2.DeleteWebhookResponse:
        call, id_ = scope.current_call(), names.path_id(request.id)

        def delete(tx: Tx) -> None:
            if not tx.delete_record(names.API, call.tenant, names.WEBHOOK, id_):
                raise refusals.webhook_unknown(id_)
            tx.delete_record(names.API, names.NOBODY, names.ADDRESS, id_)

        await self._store.run(delete)
        return webhook_service_pb2.DeleteWebhookResponse()

    @override
    async def InvokeWebhook(
        self, request: webhook_service_pb2.InvokeWebhookRequest, context: object
    ) -> webhook_service_pb2.InvokeWebhookResponse:
        read = self._store.read
        # Whoever calls is nobody: the webhook says in whose project the function is.
        address = await read.record(names.API, names.NOBODY, names.ADDRESS, request.id)
        if address is None:
            raise refusals.webhook_unknown(request.id)
        record = await self._find(json.loads(address.body), request.id)
        spec = AliasSpec.of(record.body)
        target = await find_target(
            read,
            record.tenant,
            function_id=spec.function_id,
            alias=spec.function_alias,
            version=spec.function_version,
        )
        new = new_execution(
            target,
            record.tenant,
            record.created_by,
            text=request.input or "{}",
            description=BY_WEBHOOK.format(id=record.id),
            sync=False,
            request_id=scope.current_call().request_id,
        )
        job = (await self._store.submit(new)).job
        return webhook_service_pb2.InvokeWebhookResponse(execution_id=job.external_id or job.uid)

    async def _find(self, tenant: str, id_: str) -> Record:
        found = await self._store.read.record(names.API, tenant, names.WEBHOOK, id_)
        if found is None:
            raise refusals.webhook_unknown(id_)
        return found

    async def _check(self, tenant: str, spec: AliasSpec) -> None:
        await find_target(
            self._store.read,
            tenant,
            function_id=spec.function_id,
            alias=spec.function_alias,
            version=spec.function_version,
        )


def _pointed(spec: AliasSpec, alias: str, function: str, version: int | None) -> AliasSpec:
    """A webhook that leads to an alias, else to a function."""
    if alias:
        return dataclasses.replace(spec, function_alias=alias, function_id=None, function_version=None)
    return dataclasses.replace(spec, function_alias=None, function_id=function or None, function_version=version)
