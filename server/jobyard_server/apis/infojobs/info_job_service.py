"""Information jobs, for consumers of ICS."""

from __future__ import annotations

from typing_extensions import override

from jobyard.infojobs.v1 import info_job_service_pb2, info_job_service_pb2_grpc
from jobyard_server.apis.infojobs.calling import current_call
from jobyard_server.apis.infojobs.jobs import Jobs, WantedJob
from jobyard_server.apis.infojobs.mapping import consumer_job, job_status
from jobyard_server.apis.infojobs.nouns import ICS
from jobyard_server.apis.registration import Options
from jobyard_server.usecases.ports import Store


class InfoJobService(info_job_service_pb2_grpc.InfoJobServiceServicer):
    """Takes the jobs of consumers."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._jobs = Jobs(store, options)

    @override
    async def ListInfoJobs(
        self, request: info_job_service_pb2.ListInfoJobsRequest, context: object
    ) -> info_job_service_pb2.ListInfoJobsResponse:
        type_ = request.info_type_id if request.HasField("info_type_id") else None
        owner = request.owner if request.HasField("owner") else None
        return info_job_service_pb2.ListInfoJobsResponse(ids=await self._jobs.ids(current_call(), type_, owner))

    @override
    async def DeleteInfoJobs(
        self, request: info_job_service_pb2.DeleteInfoJobsRequest, context: object
    ) -> info_job_service_pb2.DeleteInfoJobsResponse:
        await self._jobs.delete_of(current_call(), request.owner, request.authorization)
        return info_job_service_pb2.DeleteInfoJobsResponse()

    @override
    async def GetInfoJob(
        self, request: info_job_service_pb2.GetInfoJobRequest, context: object
    ) -> info_job_service_pb2.GetInfoJobResponse:
        job, facts = await self._jobs.get(current_call(), request.info_job_id, request.authorization)
        return info_job_service_pb2.GetInfoJobResponse(job=consumer_job(job, facts))

    @override
    async def PutInfoJob(
        self, request: info_job_service_pb2.PutInfoJobRequest, context: object
    ) -> info_job_service_pb2.PutInfoJobResponse:
        wanted = WantedJob(
            id=request.info_job_id,
            type=request.job.info_type_id,
            owner=request.job.job_owner,
            definition=request.job.job_definition,
            face=ICS,
            result_uri=request.job.job_result_uri,
            status_uri=request.job.status_notification_uri,
            type_check=request.legacy_type_check.lower() in {"true", "1"},
            authorization=request.authorization,
            host=request.host,
        )
        return info_job_service_pb2.PutInfoJobResponse(created=await self._jobs.put(current_call(), wanted))

    @override
    async def DeleteInfoJob(
        self, request: info_job_service_pb2.DeleteInfoJobRequest, context: object
    ) -> info_job_service_pb2.DeleteInfoJobResponse:
        await self._jobs.delete(current_call(), request.info_job_id, request.authorization)
        return info_job_service_pb2.DeleteInfoJobResponse()

    @override
    async def GetInfoJobStatus(
        self, request: info_job_service_pb2.GetInfoJobStatusRequest, context: object
    ) -> info_job_service_pb2.GetInfoJobStatusResponse:
        job = await self._jobs.find(current_call(), request.info_job_id)
        return info_job_service_pb2.GetInfoJobStatusResponse(status=await job_status(self._store.read, job))
