"""Information types and subscriptions to them, for consumers of DMS."""

from __future__ import annotations

from typing_extensions import override

from jobyard.infojobs.v1 import dms_consumer_type_service_pb2, dms_consumer_type_service_pb2_grpc
from jobyard_server.apis.infojobs import subscriptions
from jobyard_server.apis.infojobs.calling import current_call
from jobyard_server.apis.infojobs.lookup import Reading
from jobyard_server.apis.infojobs.types import consumer_type
from jobyard_server.apis.registration import Options
from jobyard_server.domain.reason import invalid
from jobyard_server.usecases.ports import Store


class DmsConsumerTypeService(dms_consumer_type_service_pb2_grpc.DmsConsumerTypeServiceServicer):
    """Shows types to consumers and keeps their subscriptions."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options

    @override
    async def ListDmsConsumerInfoTypes(
        self, request: dms_consumer_type_service_pb2.ListDmsConsumerInfoTypesRequest, context: object
    ) -> dms_consumer_type_service_pb2.ListDmsConsumerInfoTypesResponse:
        ids = await Reading(self._store.read, current_call().tenant).type_names()
        return dms_consumer_type_service_pb2.ListDmsConsumerInfoTypesResponse(ids=ids)

    @override
    async def GetDmsConsumerInfoType(
        self, request: dms_consumer_type_service_pb2.GetDmsConsumerInfoTypeRequest, context: object
    ) -> dms_consumer_type_service_pb2.GetDmsConsumerInfoTypeResponse:
        found = await consumer_type(self._store, current_call(), request.info_type_id)
        return dms_consumer_type_service_pb2.GetDmsConsumerInfoTypeResponse(info_type=found)

    @override
    async def ListDmsInfoTypeSubscriptions(
        self, request: dms_consumer_type_service_pb2.ListDmsInfoTypeSubscriptionsRequest, context: object
    ) -> dms_consumer_type_service_pb2.ListDmsInfoTypeSubscriptionsResponse:
        owner = request.owner if request.HasField("owner") else None
        ids = await subscriptions.list_subscriptions(self._store, current_call(), owner)
        return dms_consumer_type_service_pb2.ListDmsInfoTypeSubscriptionsResponse(ids=ids)

    @override
    async def GetDmsInfoTypeSubscription(
        self, request: dms_consumer_type_service_pb2.GetDmsInfoTypeSubscriptionRequest, context: object
    ) -> dms_consumer_type_service_pb2.GetDmsInfoTypeSubscriptionResponse:
        found = await subscriptions.get_subscription(self._store, current_call(), request.subscription_id)
        return dms_consumer_type_service_pb2.GetDmsInfoTypeSubscriptionResponse(subscription=found)

    @override
    async def PutDmsInfoTypeSubscription(
        self, request: dms_consumer_type_service_pb2.PutDmsInfoTypeSubscriptionRequest, context: object
    ) -> dms_consumer_type_service_pb2.PutDmsInfoTypeSubscriptionResponse:
        said = request.subscription
        for field, value in (("owner", said.owner), ("status_result_uri", said.status_result_uri)):
            if not value:
                raise invalid(field, f"Required field '{field}' missing.")
        created = await subscriptions.put_subscription(self._store, current_call(), request.subscription_id, said)
        return dms_consumer_type_service_pb2.PutDmsInfoTypeSubscriptionResponse(created=created)

    @override
    async def DeleteDmsInfoTypeSubscription(
        self, request: dms_consumer_type_service_pb2.DeleteDmsInfoTypeSubscriptionRequest, context: object
    ) -> dms_consumer_type_service_pb2.DeleteDmsInfoTypeSubscriptionResponse:
        await subscriptions.delete_subscription(self._store, current_call(), request.subscription_id)
        return dms_consumer_type_service_pb2.DeleteDmsInfoTypeSubscriptionResponse()
