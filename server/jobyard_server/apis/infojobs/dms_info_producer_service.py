"""Information producers, for producers of DMS."""

from __future__ import annotations

from typing_extensions import override

from jobyard.infojobs.v1 import dms_info_producer_service_pb2, dms_info_producer_service_pb2_grpc, info_producer_pb2
from jobyard_server.apis.infojobs import producers
from jobyard_server.apis.infojobs.calling import current_call
from jobyard_server.apis.infojobs.lookup import Reading
from jobyard_server.apis.infojobs.mapping import producer_unknown, state_of_producer
from jobyard_server.apis.infojobs.nouns import DMS, Producer
from jobyard_server.apis.infojobs.uris import checked_url
from jobyard_server.apis.registration import Options
from jobyard_server.usecases.ports import Store


class DmsInfoProducerService(dms_info_producer_service_pb2_grpc.DmsInfoProducerServiceServicer):
    """Registers producers."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._rules = producers.Supervision.of(options)

    @override
    async def ListDmsInfoProducers(
        self, request: dms_info_producer_service_pb2.ListDmsInfoProducersRequest, context: object
    ) -> dms_info_producer_service_pb2.ListDmsInfoProducersResponse:
        type_ = request.info_type_id if request.HasField("info_type_id") else None
        ids = await Reading(self._store.read, current_call().tenant).producer_names(type_)
        return dms_info_producer_service_pb2.ListDmsInfoProducersResponse(ids=ids)

    @override
    async def GetDmsInfoProducer(
        self, request: dms_info_producer_service_pb2.GetDmsInfoProducerRequest, context: object
    ) -> dms_info_producer_service_pb2.GetDmsInfoProducerResponse:
        found = await self._find(request.info_producer_id)
        kept = info_producer_pb2.DmsProducerInfo(
            supported_info_types=found.types,
            info_job_callback_url=found.job_url,
        )
        return dms_info_producer_service_pb2.GetDmsInfoProducerResponse(producer=kept)

    @override
    async def PutDmsInfoProducer(
        self, request: dms_info_producer_service_pb2.PutDmsInfoProducerRequest, context: object
    ) -> dms_info_producer_service_pb2.PutDmsInfoProducerResponse:
        call, said = current_call(), request.producer
        new = Producer(
            request.info_producer_id,
            tuple(dict.fromkeys(said.supported_info_types)),
            job_url=checked_url("info_job_callback_url", said.info_job_callback_url),
            face=DMS,
        )
        created = await self._store.run(lambda tx: producers.register(tx, call.tenant, call.user, new, self._rules))
        return dms_info_producer_service_pb2.PutDmsInfoProducerResponse(created=created)

    @override
    async def DeleteDmsInfoProducer(
        self, request: dms_info_producer_service_pb2.DeleteDmsInfoProducerRequest, context: object
    ) -> dms_info_producer_service_pb2.DeleteDmsInfoProducerResponse:
        call = current_call()
        await self._store.run(lambda tx: producers.remove(tx, call.tenant, request.info_producer_id))
        return dms_info_producer_service_pb2.DeleteDmsInfoProducerResponse()

    @override
    async def GetDmsInfoProducerStatus(
        self, request: dms_info_producer_service_pb2.GetDmsInfoProducerStatusRequest, context: object
    ) -> dms_info_producer_service_pb2.GetDmsInfoProducerStatusResponse:
        found = await self._find(request.info_producer_id)
        alive = await Reading(self._store.read, current_call().tenant).alive(found)
        status = info_producer_pb2.DmsProducerStatus(operational_state=state_of_producer(DMS, alive=alive))
        return dms_info_producer_service_pb2.GetDmsInfoProducerStatusResponse(status=status)

    async def _find(self, id_: str) -> Producer:
        found = await Reading(self._store.read, current_call().tenant).producer(id_)
        if found is None:
            raise producer_unknown(id_)
        return found
