"""JobListService of SAS Viya: lists of jobs."""

from __future__ import annotations

from typing_extensions import override

from jobyard.viya.v1 import job_list_calls_pb2, job_list_service_pb2_grpc
from jobyard_server.apis.registration import Options
from jobyard_server.apis.viya.names import current_call
from jobyard_server.apis.viya.showing import show_page
from jobyard_server.usecases.ports import Store


class JobListService(job_list_service_pb2_grpc.JobListServiceServicer):
    """Answers with pages of jobs."""

    def __init__(self, store: Store, _options: Options) -> None:
        self._store = store

    @override
    async def ListJobs(
        self, request: job_list_calls_pb2.ListJobsRequest, context: object
    ) -> job_list_calls_pb2.ListJobsResponse:
        jobs, page = await show_page(self._store, current_call(), request)
        return job_list_calls_pb2.ListJobsResponse(jobs=jobs, page=page)

    @override
    async def FilterJobs(
        self, request: job_list_calls_pb2.FilterJobsRequest, context: object
    ) -> job_list_calls_pb2.FilterJobsResponse:
        jobs, page = await show_page(self._store, current_call(), request)
        return job_list_calls_pb2.FilterJobsResponse(jobs=jobs, page=page)
