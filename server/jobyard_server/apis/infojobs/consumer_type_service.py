"""Information types and subscriptions to them, for consumers of ICS."""

from __future__ import annotations

from typing_extensions import override

from jobyard.infojobs.v1 import consumer_type_service_pb2, consumer_type_service_pb2_grpc
from jobyard_server.apis.infojobs import subscriptions
from jobyard_server.apis.infojobs.calling import current_call
from jobyard_server.apis.infojobs.lookup import Reading
from jobyard_server.apis.infojobs.types import consumer_type
from jobyard_server.apis.registration import Options
from jobyard_server.usecases.ports import Store


class ConsumerTypeService(consumer_type_service_pb2_grpc.ConsumerTypeServiceServicer):
    """Shows types to consumers and keeps their subscriptions."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options

    @override
    async def ListConsumerInfoTypes(
        self, request: consumer_type_service_pb2.ListConsumerInfoTypesRequest, context: object
    ) -> consumer_type_service_pb2.ListConsumerInfoTypesResponse:
        ids = await Reading(self._store.read, current_call().tenant).type_names()
        return consumer_type_service_pb2.ListConsumerInfoTypesResponse(ids=ids)

    @override
    async def GetConsumerInfoType(
        self, request: consumer_type_service_pb2.GetConsumerInfoTypeRequest, context: object
    ) -> consumer_type_service_pb2.GetConsumerInfoTypeResponse:
        found = await consumer_type(self._store, current_call(), request.info_type_id)
        return consumer_type_service_pb2.GetConsumerInfoTypeResponse(info_type=found)

    @override
    async def ListInfoTypeSubscriptions(
        self, request: consumer_type_service_pb2.ListInfoTypeSubscriptionsRequest, context: object
    ) -> consumer_type_service_pb2.ListInfoTypeSubscriptionsResponse:
        owner = request.owner if request.HasField("owner") else None
        ids = await subscriptions.list_subscriptions(self._store, current_call(), owner)
        return consumer_type_service_pb2.ListInfoTypeSubscriptionsResponse(ids=ids)

    @override
    async def GetInfoTypeSubscription(
        self, request: consumer_type_service_pb2.GetInfoTypeSubscriptionRequest, context: object
    ) -> consumer_type_service_pb2.GetInfoTypeSubscriptionResponse:
        found = await subscriptions.get_subscription(self._store, current_call(), request.subscription_id)
        # ICS does not say the name again.
        found.ClearField("id")
        return consumer_type_service_pb2.GetInfoTypeSubscriptionResponse(subscription=found)

    @override
    async def PutInfoTypeSubscription(
        self, request: consumer_type_service_pb2.PutInfoTypeSubscriptionRequest, context: object
    ) -> consumer_type_service_pb2.PutInfoTypeSubscriptionResponse:
        created = await subscriptions.put_subscription(
            self._store, current_call(), request.subscription_id, request.subscription
        )
        return consumer_type_service_pb2.PutInfoTypeSubscriptionResponse(created=created)

    @override
    async def DeleteInfoTypeSubscription(
        self, request: consumer_type_service_pb2.DeleteInfoTypeSubscriptionRequest, context: object
    ) -> consumer_type_service_pb2.DeleteInfoTypeSubscriptionResponse:
        await subscriptions.delete_subscription(self._store, current_call(), request.subscription_id)
        return consumer_type_service_pb2.DeleteInfoTypeSubscriptionResponse()
