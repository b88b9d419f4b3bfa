"""Information types, for producers of DMS."""

from __future__ import annotations

from typing_extensions import override

from jobyard.infojobs.v1 import dms_producer_type_service_pb2, dms_producer_type_service_pb2_grpc
from jobyard_server.apis.infojobs.calling import current_call
from jobyard_server.apis.infojobs.lookup import Reading
from jobyard_server.apis.infojobs.nouns import InfoType
from jobyard_server.apis.infojobs.types import consumer_type, delete_type, put_type
from jobyard_server.apis.registration import Options
from jobyard_server.usecases.ports import Store


class DmsProducerTypeService(dms_producer_type_service_pb2_grpc.DmsProducerTypeServiceServicer):
    """Registers types."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options

    @override
    async def ListDmsProducerInfoTypes(
        self, request: dms_producer_type_service_pb2.ListDmsProducerInfoTypesRequest, context: object
    ) -> dms_producer_type_service_pb2.ListDmsProducerInfoTypesResponse:
        ids = await Reading(self._store.read, current_call().tenant).type_names()
        return dms_producer_type_service_pb2.ListDmsProducerInfoTypesResponse(ids=ids)

    @override
    async def GetDmsProducerInfoType(
        self, request: dms_producer_type_service_pb2.GetDmsProducerInfoTypeRequest, context: object
    ) -> dms_producer_type_service_pb2.GetDmsProducerInfoTypeResponse:
        found = await consumer_type(self._store, current_call(), request.info_type_id)
        return dms_producer_type_service_pb2.GetDmsProducerInfoTypeResponse(info_type=found)

    @override
    async def PutDmsProducerInfoType(
        self, request: dms_producer_type_service_pb2.PutDmsProducerInfoTypeRequest, context: object
    ) -> dms_producer_type_service_pb2.PutDmsProducerInfoTypeResponse:
        said = request.info_type
        new = InfoType(
            request.info_type_id,
            said.info_job_data_schema,
            said.info_type_information,
            said.collectable,
            said.subscription,
        )
        return dms_producer_type_service_pb2.PutDmsProducerInfoTypeResponse(
            created=await put_type(self._store, current_call(), new)
        )

    @override
    async def DeleteDmsProducerInfoType(
        self, request: dms_producer_type_service_pb2.DeleteDmsProducerInfoTypeRequest, context: object
    ) -> dms_producer_type_service_pb2.DeleteDmsProducerInfoTypeResponse:
        await delete_type(self._store, current_call(), request.info_type_id)
        return dms_producer_type_service_pb2.DeleteDmsProducerInfoTypeResponse()
