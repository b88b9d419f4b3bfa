"""Information types and jobs in the words of A1-EI."""

from __future__ import annotations

from typing_extensions import override

from jobyard.infojobs.v1 import ei_job_service_pb2, ei_job_service_pb2_grpc, info_job_pb2
from jobyard_server.apis.infojobs.calling import current_call
from jobyard_server.apis.infojobs.jobs import Jobs, WantedJob
from jobyard_server.apis.infojobs.lookup import Reading
from jobyard_server.apis.infojobs.mapping import availability, ei_job
from jobyard_server.apis.infojobs.nouns import A1EI
from jobyard_server.apis.infojobs.types import get_type
from jobyard_server.apis.registration import Options
from jobyard_server.usecases.ports import Store


class EiJobService(ei_job_service_pb2_grpc.EiJobServiceServicer):
    """The same types and jobs as those of ICS."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._jobs = Jobs(store, options)

    @override
    async def ListEiTypes(
        self, request: ei_job_service_pb2.ListEiTypesRequest, context: object
    ) -> ei_job_service_pb2.ListEiTypesResponse:
        ids = await Reading(self._store.read, current_call().tenant).type_names()
        return ei_job_service_pb2.ListEiTypesResponse(ids=ids)

    @override
    async def GetEiType(
        self, request: ei_job_service_pb2.GetEiTypeRequest, context: object
    ) -> ei_job_service_pb2.GetEiTypeResponse:
        await get_type(self._store, current_call(), request.ei_type_id)
        return ei_job_service_pb2.GetEiTypeResponse()

    @override
    async def ListEiJobs(
        self, request: ei_job_service_pb2.ListEiJobsRequest, context: object
    ) -> ei_job_service_pb2.ListEiJobsResponse:
        type_ = request.ei_type_id if request.HasField("ei_type_id") else None
        owner = request.owner if request.HasField("owner") else None
        return ei_job_service_pb2.ListEiJobsResponse(ids=await self._jobs.ids(current_call(), type_, owner))

    @override
    async def GetEiJob(
        self, request: ei_job_service_pb2.GetEiJobRequest, context: object
    ) -> ei_job_service_pb2.GetEiJobResponse:
        job, facts = await self._jobs.get(current_call(), request.ei_job_id, request.authorization)
        return ei_job_service_pb2.GetEiJobResponse(job=ei_job(job, facts))

    @override
    async def PutEiJob(
        self, request: ei_job_service_pb2.PutEiJobRequest, context: object
    ) -> ei_job_service_pb2.PutEiJobResponse:
        wanted = WantedJob(
            id=request.ei_job_id,
            type=request.job.ei_type_id,
            owner=request.job.job_owner,
            definition=request.job.job_definition,
            face=A1EI,
            result_uri=request.job.job_result_uri,
            status_uri=request.job.job_status_notification_uri,
            authorization=request.authorization,
            host=request.host,
        )
        return ei_job_service_pb2.PutEiJobResponse(created=await self._jobs.put(current_call(), wanted))

    @override
    async def DeleteEiJob(
        self, request: ei_job_service_pb2.DeleteEiJobRequest, context: object
    ) -> ei_job_service_pb2.DeleteEiJobResponse:
        await self._jobs.delete(current_call(), request.ei_job_id, request.authorization)
        return ei_job_service_pb2.DeleteEiJobResponse()

    @override
    async def GetEiJobStatus(
        self, request: ei_job_service_pb2.GetEiJobStatusRequest, context: object
    ) -> ei_job_service_pb2.GetEiJobStatusResponse:
        job = await self._jobs.find(current_call(), request.ei_job_id)
        return ei_job_service_pb2.GetEiJobStatusResponse(
            status=info_job_pb2.EiJobStatus(ei_job_status=availability(job))
        )
