"""JobRequestService of SAS Viya: requests that are kept."""

from __future__ import annotations

import uuid

from typing_extensions import override

from jobyard.viya.v1 import link_pb2, request_calls_pb2, request_pb2, request_service_pb2_grpc
from jobyard_server.apis.registration import Options
from jobyard_server.apis.viya import finding, keeping, names, stored
from jobyard_server.apis.viya.pages import Window
from jobyard_server.apis.viya.stored_members import REQUESTS
from jobyard_server.usecases.ports import Store

_ORDER = "name:ascending"


class JobRequestService(request_service_pb2_grpc.JobRequestServiceServicer):
    """Answers for kept requests."""

    def __init__(self, store: Store, _options: Options) -> None:
        self._store = store

    @override
    async def ListJobRequests(
        self, request: request_calls_pb2.ListJobRequestsRequest, context: object
    ) -> request_calls_pb2.ListJobRequestsResponse:
        window = Window.of(request, _ORDER)
        call = names.current_call()
        page, count = await finding.stored_page(self._store.read, call, names.REQUEST, REQUESTS, window)
        collection = request_pb2.JobRequestCollection(
            name="jobRequests",
            accept=link_pb2.ITEM_TYPE_JOB_REQUEST,
            start=window.start,
            limit=window.limit,
            count=count,
            items=map(stored.request_message, page),
            version=2,
        )
        return request_calls_pb2.ListJobRequestsResponse(job_requests=collection, page=window.page(count))

    @override
    async def CreateJobRequest(
        self, request: request_calls_pb2.CreateJobRequestRequest, context: object
    ) -> request_calls_pb2.CreateJobRequestResponse:
        stored.check_request(request.job_request)
        kept = await keeping.create(
            self._store, names.current_call(), names.REQUEST, [(str(uuid.uuid4()), request.job_request)]
        )  # fmt: skip
        return request_calls_pb2.CreateJobRequestResponse(job_request=stored.request_message(kept[0]))

    @override
    async def GetJobRequest(
        self, request: request_calls_pb2.GetJobRequestRequest, context: object
    ) -> request_calls_pb2.GetJobRequestResponse:
        found = await finding.stored_named(
            self._store.read, names.current_call(), names.REQUEST, request.job_request_id
        )  # fmt: skip
        message = stored.request_message(found)
        if request.view == link_pb2.VIEW_SUMMARY:
            return request_calls_pb2.GetJobRequestResponse(
                summary=stored.summary(message, link_pb2.RESOURCE_TYPE_JOB_REQUEST)
            )
        return request_calls_pb2.GetJobRequestResponse(job_request=message)

    @override
    async def UpdateJobRequest(
        self, request: request_calls_pb2.UpdateJobRequestRequest, context: object
    ) -> request_calls_pb2.UpdateJobRequestResponse:
        given = request.job_request.id
        problem = f"Job request with ID: {request.job_request_id} does not match passed in id: {given}."

        def check() -> None:
            keeping.check_id(request.job_request_id, given, problem)
            stored.check_request(request.job_request)

        kept = await keeping.replace(
            self._store,
            names.current_call(),
            (names.REQUEST, request.job_request_id),
            request.job_request,
            request,
            check,
        )
        return request_calls_pb2.UpdateJobRequestResponse(job_request=stored.request_message(kept))

    @override
    async def DeleteJobRequest(
        self, request: request_calls_pb2.DeleteJobRequestRequest, context: object
    ) -> request_calls_pb2.DeleteJobRequestResponse:
        await keeping.delete(self._store, names.current_call(), names.REQUEST, request.job_request_id)
        return request_calls_pb2.DeleteJobRequestResponse()
