"""Information jobs, for consumers of DMS."""

from __future__ import annotations

from typing_extensions import override

from jobyard.infojobs.v1 import dms_info_job_service_pb2, dms_info_job_service_pb2_grpc
from jobyard_server.apis.infojobs.calling import current_call
from jobyard_server.apis.infojobs.jobs import Jobs, WantedJob
from jobyard_server.apis.infojobs.mapping import dms_job, job_status
from jobyard_server.apis.infojobs.nouns import DMS
from jobyard_server.apis.registration import Options
from jobyard_server.domain.reason import Reason, Refused, invalid
from jobyard_server.usecases.ports import Store


class DmsInfoJobService(dms_info_job_service_pb2_grpc.DmsInfoJobServiceServicer):
    """Takes the jobs of consumers."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._jobs = Jobs(store, options)

    @override
    async def ListDmsInfoJobs(
        self, request: dms_info_job_service_pb2.ListDmsInfoJobsRequest, context: object
    ) -> dms_info_job_service_pb2.ListDmsInfoJobsResponse:
        type_ = request.info_type_id if request.HasField("info_type_id") else None
        owner = request.owner if request.HasField("owner") else None
        return dms_info_job_service_pb2.ListDmsInfoJobsResponse(ids=await self._jobs.ids(current_call(), type_, owner))

    @override
    async def GetDmsInfoJob(
        self, request: dms_info_job_service_pb2.GetDmsInfoJobRequest, context: object
    ) -> dms_info_job_service_pb2.GetDmsInfoJobResponse:
        job, facts = await self._jobs.get(current_call(), request.info_job_id, request.authorization)
        return dms_info_job_service_pb2.GetDmsInfoJobResponse(job=dms_job(job, facts))

    @override
    async def PutDmsInfoJob(
        self, request: dms_info_job_service_pb2.PutDmsInfoJobRequest, context: object
    ) -> dms_info_job_service_pb2.PutDmsInfoJobResponse:
        if not request.job.job_result_uri:
            raise invalid("job_result_uri", "Required field 'job_result_uri' missing.")
        wanted = WantedJob(
            id=request.info_job_id,
            type=request.job.info_type_id,
            owner=request.job.job_owner,
            definition=request.job.job_definition,
            face=DMS,
            exact=True,
            result_uri=request.job.job_result_uri,
            status_uri=request.job.status_notification_uri,
            type_check=request.type_check,
            authorization=request.authorization,
            host=request.host,
        )
        return dms_info_job_service_pb2.PutDmsInfoJobResponse(created=await self._jobs.put(current_call(), wanted))

    @override
    async def DeleteDmsInfoJob(
        self, request: dms_info_job_service_pb2.DeleteDmsInfoJobRequest, context: object
    ) -> dms_info_job_service_pb2.DeleteDmsInfoJobResponse:
        try:
            await self._jobs.delete(current_call(), request.info_job_id, request.authorization)
        except Refused as problem:
            # What is not there is deleted already.
            if problem.refusal.reason is not Reason.JOB_NOT_FOUND:
                raise
        return dms_info_job_service_pb2.DeleteDmsInfoJobResponse()

    @override
    async def GetDmsInfoJobStatus(
        self, request: dms_info_job_service_pb2.GetDmsInfoJobStatusRequest, context: object
    ) -> dms_info_job_service_pb2.GetDmsInfoJobStatusResponse:
        job = await self._jobs.find(current_call(), request.info_job_id)
        return dms_info_job_service_pb2.GetDmsInfoJobStatusResponse(status=await job_status(self._store.read, job))
