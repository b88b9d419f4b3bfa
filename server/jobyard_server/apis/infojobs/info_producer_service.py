"""Information producers, for producers of ICS."""

from __future__ import annotations

from typing_extensions import override

from jobyard.infojobs.v1 import info_producer_pb2, info_producer_service_pb2, info_producer_service_pb2_grpc
from jobyard_server.apis.infojobs import producers
from jobyard_server.apis.infojobs.calling import current_call
from jobyard_server.apis.infojobs.lookup import Reading
from jobyard_server.apis.infojobs.mapping import producer_jobs, producer_unknown, state_of_producer
from jobyard_server.apis.infojobs.nouns import ICS, Producer
from jobyard_server.apis.infojobs.uris import checked_url
from jobyard_server.apis.registration import Options
from jobyard_server.usecases.ports import Store


class InfoProducerService(info_producer_service_pb2_grpc.InfoProducerServiceServicer):
    """Registers producers."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._rules = producers.Supervision.of(options)

    @override
    async def ListInfoProducers(
        self, request: info_producer_service_pb2.ListInfoProducersRequest, context: object
    ) -> info_producer_service_pb2.ListInfoProducersResponse:
        type_ = request.info_type_id if request.HasField("info_type_id") else None
        ids = await Reading(self._store.read, current_call().tenant).producer_names(type_)
        return info_producer_service_pb2.ListInfoProducersResponse(ids=ids)

    @override
    async def GetInfoProducer(
        self, request: info_producer_service_pb2.GetInfoProducerRequest, context: object
    ) -> info_producer_service_pb2.GetInfoProducerResponse:
        found = await self._find(request.info_producer_id)
        kept = info_producer_pb2.ProducerRegistrationInfo(
            supported_info_types=found.types,
            info_job_callback_url=found.job_url,
            info_producer_supervision_callback_url=found.check_url,
        )
        return info_producer_service_pb2.GetInfoProducerResponse(producer=kept)

    @override
    async def PutInfoProducer(
        self, request: info_producer_service_pb2.PutInfoProducerRequest, context: object
    ) -> info_producer_service_pb2.PutInfoProducerResponse:
        call, said = current_call(), request.producer
        new = Producer(
            request.info_producer_id,
            tuple(dict.fromkeys(said.supported_info_types)),
            job_url=checked_url("info_job_callback_url", said.info_job_callback_url),
            check_url=checked_url(
                "info_producer_supervision_callback_url", said.info_producer_supervision_callback_url
            ),
            face=ICS,
        )
        created = await self._store.run(lambda tx: producers.register(tx, call.tenant, call.user, new, self._rules))
        return info_producer_service_pb2.PutInfoProducerResponse(created=created)

    @override
    async def DeleteInfoProducer(
        self, request: info_producer_service_pb2.DeleteInfoProducerRequest, context: object
    ) -> info_producer_service_pb2.DeleteInfoProducerResponse:
        call = current_call()
        if not await self._store.run(lambda tx: producers.remove(tx, call.tenant, request.info_producer_id)):
            raise producer_unknown(request.info_producer_id)
        return info_producer_service_pb2.DeleteInfoProducerResponse()

    @override
    async def GetInfoProducerStatus(
        self, request: info_producer_service_pb2.GetInfoProducerStatusRequest, context: object
    ) -> info_producer_service_pb2.GetInfoProducerStatusResponse:
        found = await self._find(request.info_producer_id)
        alive = await Reading(self._store.read, current_call().tenant).alive(found)
        status = info_producer_pb2.ProducerStatus(operational_state=state_of_producer(ICS, alive=alive))
        return info_producer_service_pb2.GetInfoProducerStatusResponse(status=status)

    @override
    async def ListInfoProducerJobs(
        self, request: info_producer_service_pb2.ListInfoProducerJobsRequest, context: object
    ) -> info_producer_service_pb2.ListInfoProducerJobsResponse:
        found = await self._find(request.info_producer_id)
        jobs = await producer_jobs(self._store.read, current_call().tenant, found, exact=self._rules.exact)
        return info_producer_service_pb2.ListInfoProducerJobsResponse(jobs=jobs)

    async def _find(self, id_: str) -> Producer:
        found = await Reading(self._store.read, current_call().tenant).producer(id_)
        if found is None:
            raise producer_unknown(id_)
        return found
