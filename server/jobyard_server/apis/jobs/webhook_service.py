"""WebhookService: keep webhooks."""

from __future__ import annotations

from typing_extensions import override

from jobyard.jobs.v1 import webhook_service_pb2, webhook_service_pb2_grpc
from jobyard_server.apis.jobs.calling import current_call
from jobyard_server.apis.jobs.mapping_delivery import new_webhook, webhook_message
from jobyard_server.apis.registration import Options
from jobyard_server.usecases.ports import Store
from jobyard_server.usecases.webhooks import delete_webhook, get_webhook, list_webhooks, put_webhook


class WebhookService(webhook_service_pb2_grpc.WebhookServiceServicer):
    """Answers WebhookService by its use cases."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options

    @override
    async def PutWebhook(
        self, request: webhook_service_pb2.PutWebhookRequest, context: object
    ) -> webhook_service_pb2.PutWebhookResponse:
        kept, secret = await put_webhook(self._store, current_call(), new_webhook(request.webhook))
        return webhook_service_pb2.PutWebhookResponse(webhook=webhook_message(kept, secret))

    @override
    async def GetWebhook(
        self, request: webhook_service_pb2.GetWebhookRequest, context: object
    ) -> webhook_service_pb2.GetWebhookResponse:
        found = await get_webhook(self._store, current_call(), request.id)
        return webhook_service_pb2.GetWebhookResponse(webhook=webhook_message(found))

    @override
    async def ListWebhooks(
        self, request: webhook_service_pb2.ListWebhooksRequest, context: object
    ) -> webhook_service_pb2.ListWebhooksResponse:
        page = await list_webhooks(self._store, current_call(), size=request.page_size, token=request.page_token)
        return webhook_service_pb2.ListWebhooksResponse(
            webhooks=map(webhook_message, page.webhooks), next_page_token=page.next_page_token
        )

    @override
    async def DeleteWebhook(
        self, request: webhook_service_pb2.DeleteWebhookRequest, context: object
    ) -> webhook_service_pb2.DeleteWebhookResponse:
        await delete_webhook(self._store, current_call(), request.id)
        return webhook_service_pb2.DeleteWebhookResponse()
