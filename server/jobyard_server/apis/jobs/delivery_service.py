"""DeliveryService: look at deliveries, and send dead ones again."""

from __future__ import annotations

from typing_extensions import override

from jobyard.jobs.v1 import delivery_service_pb2, delivery_service_pb2_grpc
from jobyard_server.apis.jobs.calling import current_call
from jobyard_server.apis.jobs.mapping_delivery import delivery_message, delivery_state
from jobyard_server.apis.registration import Options
from jobyard_server.usecases.deliveries import get_delivery, list_deliveries, redrive_deliveries, redrive_delivery
from jobyard_server.usecases.ports import Store


class DeliveryService(delivery_service_pb2_grpc.DeliveryServiceServicer):
    """Answers DeliveryService by its use cases."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options

    @override
    async def GetDelivery(
        self, request: delivery_service_pb2.GetDeliveryRequest, context: object
    ) -> delivery_service_pb2.GetDeliveryResponse:
        found = await get_delivery(self._store, current_call(), request.uid)
        return delivery_service_pb2.GetDeliveryResponse(delivery=delivery_message(found))

    @override
    async def ListDeliveries(
        self, request: delivery_service_pb2.ListDeliveriesRequest, context: object
    ) -> delivery_service_pb2.ListDeliveriesResponse:
        page = await list_deliveries(
            self._store,
            current_call(),
            state=delivery_state(request.state),
            api=request.api,
            job=request.job,
            size=request.page_size,
            token=request.page_token,
        )
        return delivery_service_pb2.ListDeliveriesResponse(
            deliveries=map(delivery_message, page.deliveries), next_page_token=page.next_page_token
        )

    @override
    async def RedriveDelivery(
        self, request: delivery_service_pb2.RedriveDeliveryRequest, context: object
    ) -> delivery_service_pb2.RedriveDeliveryResponse:
        redriven = await redrive_delivery(self._store, current_call(), request.uid)
        return delivery_service_pb2.RedriveDeliveryResponse(delivery=delivery_message(redriven))

    @override
    async def RedriveDeliveries(
        self, request: delivery_service_pb2.RedriveDeliveriesRequest, context: object
    ) -> delivery_service_pb2.RedriveDeliveriesResponse:
        redriven = await redrive_deliveries(self._store, current_call(), api=request.api, job=request.job)
        return delivery_service_pb2.RedriveDeliveriesResponse(redriven=redriven)
