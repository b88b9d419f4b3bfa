"""Information types, for producers of ICS."""

from __future__ import annotations

from typing_extensions import override

from jobyard.infojobs.v1 import info_type_pb2, producer_type_service_pb2, producer_type_service_pb2_grpc
from jobyard_server.apis.infojobs.calling import current_call
from jobyard_server.apis.infojobs.lookup import Reading
from jobyard_server.apis.infojobs.nouns import InfoType
from jobyard_server.apis.infojobs.types import delete_type, get_type, put_type
from jobyard_server.apis.registration import Options
from jobyard_server.usecases.ports import Store


class ProducerTypeService(producer_type_service_pb2_grpc.ProducerTypeServiceServicer):
    """Registers types."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options

    @override
    async def ListProducerInfoTypes(
        self, request: producer_type_service_pb2.ListProducerInfoTypesRequest, context: object
    ) -> producer_type_service_pb2.ListProducerInfoTypesResponse:
        ids = await Reading(self._store.read, current_call().tenant).type_names()
        return producer_type_service_pb2.ListProducerInfoTypesResponse(ids=ids)

    @override
    async def GetProducerInfoType(
        self, request: producer_type_service_pb2.GetProducerInfoTypeRequest, context: object
    ) -> producer_type_service_pb2.GetProducerInfoTypeResponse:
        kept = await get_type(self._store, current_call(), request.info_type_id)
        found = info_type_pb2.ProducerInfoTypeInfo(
            info_job_data_schema=kept.schema, info_type_information=kept.information
        )
        return producer_type_service_pb2.GetProducerInfoTypeResponse(info_type=found)

    @override
    async def PutProducerInfoType(
        self, request: producer_type_service_pb2.PutProducerInfoTypeRequest, context: object
    ) -> producer_type_service_pb2.PutProducerInfoTypeResponse:
        said = request.info_type
        new = InfoType(
            request.info_type_id,
            said.info_job_data_schema,
            said.info_type_information,
        )
        return producer_type_service_pb2.PutProducerInfoTypeResponse(
            created=await put_type(self._store, current_call(), new)
        )

    @override
    async def DeleteProducerInfoType(
        self, request: producer_type_service_pb2.DeleteProducerInfoTypeRequest, context: object
    ) -> producer_type_service_pb2.DeleteProducerInfoTypeResponse:
        await delete_type(self._store, current_call(), request.info_type_id)
        return producer_type_service_pb2.DeleteProducerInfoTypeResponse()
