"""JobService of SAS Viya: submit, show, change and delete jobs."""

from __future__ import annotations

from typing_extensions import override

from jobyard.viya.v1 import job_calls_pb2, job_service_pb2_grpc
from jobyard_server.apis.registration import Options
from jobyard_server.apis.viya import changing, showing
from jobyard_server.apis.viya.finding import job_named
from jobyard_server.apis.viya.names import current_call
from jobyard_server.apis.viya.planning import Submit, plan
from jobyard_server.usecases.ports import Store


class JobService(job_service_pb2_grpc.JobServiceServicer):
    """Answers for single jobs."""

    def __init__(self, store: Store, _options: Options) -> None:
        self._store = store

    @override
    async def SubmitJob(
        self, request: job_calls_pb2.SubmitJobRequest, context: object
    ) -> job_calls_pb2.SubmitJobResponse:
        call = current_call()
        request.job_request.stored = False
        submit = Submit(request.submitter, request.delegate_domain, request.annotation_uri)
        job = await changing.submit(
            self._store, call, await plan(self._store.read, call, request.job_request, submit)
        )  # fmt: skip
        return job_calls_pb2.SubmitJobResponse(job=await showing.show(self._store, job))

    @override
    async def GetJob(self, request: job_calls_pb2.GetJobRequest, context: object) -> job_calls_pb2.GetJobResponse:
        job = await job_named(self._store.read, current_call(), request.job_id)
        return job_calls_pb2.GetJobResponse(job=await showing.show(self._store, job))

    @override
    async def UpdateJob(
        self, request: job_calls_pb2.UpdateJobRequest, context: object
    ) -> job_calls_pb2.UpdateJobResponse:
        job = await changing.update(self._store, current_call(), request)
        return job_calls_pb2.UpdateJobResponse(job=await showing.show(self._store, job))

    @override
    async def DeleteJob(
        self, request: job_calls_pb2.DeleteJobRequest, context: object
    ) -> job_calls_pb2.DeleteJobResponse:
        await changing.delete(self._store, current_call(), request.job_id)
        return job_calls_pb2.DeleteJobResponse()
