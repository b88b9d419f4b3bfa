"""JobRequestJobService of SAS Viya: kept requests submitted, and the jobs that came of them."""

from __future__ import annotations

from typing_extensions import override

from jobyard.viya.v1 import job_collection_pb2, job_pb2, request_job_calls_pb2, request_job_service_pb2_grpc
from jobyard_server.apis.registration import Options
from jobyard_server.apis.viya import changing, finding, names, stored
from jobyard_server.apis.viya.planning import Submit, plan
from jobyard_server.apis.viya.showing import error_item, items, selected, show, show_page
from jobyard_server.domain.reason import Refused
from jobyard_server.usecases.ports import Store


class JobRequestJobService(request_job_service_pb2_grpc.JobRequestJobServiceServicer):
    """Answers for the jobs of kept requests."""

    def __init__(self, store: Store, _options: Options) -> None:
        self._store = store

    @override
    async def SubmitJobRequest(
        self, request: request_job_calls_pb2.SubmitJobRequestRequest, context: object
    ) -> request_job_calls_pb2.SubmitJobRequestResponse:
        submit = Submit(request.submitter, request.delegate_domain)
        return request_job_calls_pb2.SubmitJobRequestResponse(job=await self._submit(request.job_request_id, submit))

    @override
    async def SubmitJobRequests(
        self, request: request_job_calls_pb2.SubmitJobRequestsRequest, context: object
    ) -> request_job_calls_pb2.SubmitJobRequestsResponse:
        submit = Submit(request.submitter, "")
        done = [await self._submit_one(uri, submit) for uri in selected(request.selection)]
        return request_job_calls_pb2.SubmitJobRequestsResponse(items=items(done))

    async def _submit_one(self, uri: str, submit: Submit) -> job_collection_pb2.JobItem:
        try:
            job = await self._submit(names.id_in(uri, "jobExecution/jobRequests") or uri, submit)
        except Refused as refused:
            return error_item(refused.refusal, names.current_call())
        return job_collection_pb2.JobItem(job=job)

    async def _submit(self, id_: str, submit: Submit) -> job_pb2.Job:
        call = names.current_call()
        kept = await finding.stored_named(self._store.read, call, names.REQUEST, id_)
        planned = await plan(self._store.read, call, stored.request_message(kept), submit)
        return await show(self._store, await changing.submit(self._store, call, planned))

    @override
    async def ListJobRequestJobs(
        self, request: request_job_calls_pb2.ListJobRequestJobsRequest, context: object
    ) -> request_job_calls_pb2.ListJobRequestJobsResponse:
        call = names.current_call()
        await finding.stored_named(self._store.read, call, names.REQUEST, request.job_request_id)
        jobs, page = await show_page(self._store, call, request, request.job_request_id)
        return request_job_calls_pb2.ListJobRequestJobsResponse(jobs=jobs, page=page)

    @override
    async def FilterJobRequestJobs(
        self, request: request_job_calls_pb2.FilterJobRequestJobsRequest, context: object
    ) -> request_job_calls_pb2.FilterJobRequestJobsResponse:
        call = names.current_call()
        await finding.stored_named(self._store.read, call, names.REQUEST, request.job_request_id)
        jobs, page = await show_page(self._store, call, request, request.job_request_id)
        return request_job_calls_pb2.FilterJobRequestJobsResponse(jobs=jobs, page=page)
