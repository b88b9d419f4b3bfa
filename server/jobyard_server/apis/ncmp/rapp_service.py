"""Data jobs as rApps ask for them."""

from __future__ import annotations

from hashlib import blake2b
from uuid import uuid4

from typing_extensions import override

from jobyard.ncmp.v1 import rapp_service_pb2 as pb
from jobyard.ncmp.v1 import rapp_service_pb2_grpc
from jobyard_server.apis.ncmp import mapping
from jobyard_server.apis.ncmp.calling import current_call
from jobyard_server.apis.ncmp.jobs import RAPP, DataJobs, Wanted, pieces_of
from jobyard_server.apis.ncmp.preparing import all_at_once
from jobyard_server.apis.ncmp.requests import Metadata, all_read, operations_of
from jobyard_server.apis.registration import Options
from jobyard_server.domain.filter import Comparison, Op
from jobyard_server.usecases.cancel_job import cancel_job
from jobyard_server.usecases.list_jobs import JobList, list_jobs
from jobyard_server.usecases.ports import Store


class RappDataJobService(rapp_service_pb2_grpc.RappDataJobServiceServicer):
    """Takes data jobs from rApps."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._jobs = DataJobs(store, options)

    @override
    async def CreateDataJob(self, request: pb.CreateDataJobRequest, context: object) -> pb.CreateDataJobResponse:
        accepted = await self._jobs.accept(current_call(), _wanted(request))
        pieces = await pieces_of(self._store.read, accepted.job)
        return pb.CreateDataJobResponse(data_job=mapping.rapp_job(accepted.job, pieces))

    @override
    async def GetDataJob(self, request: pb.GetDataJobRequest, context: object) -> pb.GetDataJobResponse:
        job = await self._jobs.find(current_call(), request.job_id)
        return pb.GetDataJobResponse(data_job=mapping.rapp_job(job, await pieces_of(self._store.read, job)))

    @override
    async def ListDataJobs(self, request: pb.ListDataJobsRequest, context: object) -> pb.ListDataJobsResponse:
        page = await list_jobs(
            self._store,
            current_call(),
            JobList(where=Comparison("role", Op.EQ, RAPP), page_size=request.page_size, page_token=request.page_token),
        )
        return pb.ListDataJobsResponse(data_jobs=map(mapping.rapp_job, page.jobs), next_page_token=page.next_page_token)

    @override
    async def CancelDataJob(self, request: pb.CancelDataJobRequest, context: object) -> pb.CancelDataJobResponse:
        call = current_call()
        job = await cancel_job(self._store, call, (await self._jobs.find(call, request.job_id)).number)
        return pb.CancelDataJobResponse(data_job=mapping.rapp_job(job, await pieces_of(self._store.read, job)))


def _wanted(request: pb.CreateDataJobRequest) -> Wanted:
    operations = operations_of(request.data, "data")
    name = str(uuid4())
    return Wanted(
        name=name,
        # Results that are to go nowhere else are found under the name of the job.
        metadata=Metadata(
            request.destination or name, request.data_accept_type or None, request.data_content_type or None
        ),
        steps=all_at_once(operations),
        digest=blake2b(request.data, digest_size=16).hexdigest(),
        field="data",
        role=RAPP,
        read=all_read(operations, "data"),
        authorization=request.authorization,
    )
