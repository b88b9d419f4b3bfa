"""Data jobs as the management of a network hands them to NCMP."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

import msgspec
from google.api import httpbody_pb2
from typing_extensions import override

from jobyard.ncmp.v1 import data_job_service_pb2 as pb
from jobyard.ncmp.v1 import data_job_service_pb2_grpc
from jobyard_server.apis.ncmp import mapping
from jobyard_server.apis.ncmp.asking import Asking
from jobyard_server.apis.ncmp.calling import current_call
from jobyard_server.apis.ncmp.jobs import NCMP, DataJobs, Wanted, refused_by_all
from jobyard_server.apis.ncmp.parts import job_facts, news_of
from jobyard_server.apis.ncmp.reading import classify
from jobyard_server.apis.ncmp.refusals import dmi_failed
from jobyard_server.apis.ncmp.requests import DATA, Gathered, Metadata, write_job, written
from jobyard_server.apis.registration import Options
from jobyard_server.domain.reason import invalid
from jobyard_server.usecases.ports import Store


class DataJobService(data_job_service_pb2_grpc.DataJobServiceServicer):
    """Takes data jobs and follows them."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._jobs = DataJobs(store, options)
        self._asking = Asking(store, options)

    @override
    async def WriteDataJob(
        self, request_iterator: AsyncIterator[pb.WriteDataJobRequest], context: object
    ) -> pb.WriteDataJobResponse:
        # Nothing here keeps the request while the DMI services are waited for: it may be large.
        accepted = await self._jobs.accept(current_call(), await _wanted(request_iterator))
        pieces = await self._jobs.hand_over(accepted)
        if (first := refused_by_all(pieces)) is not None:
            raise dmi_failed(first.message, news_of(first))
        return pb.WriteDataJobResponse(sub_jobs=map(mapping.sub_job, pieces))

    @override
    async def ReadDataJob(self, request: pb.ReadDataJobRequest, context: object) -> pb.ReadDataJobResponse:
        selectors = request.read_properties.data_node_selector
        return mapping.classified(await classify(self._store.read, current_call().tenant, selectors))

    @override
    async def GetDataJobStatus(
        self, request: pb.GetDataJobStatusRequest, context: object
    ) -> pb.GetDataJobStatusResponse:
        job = await self._jobs.find(current_call(), request.data_job_id)
        name = await self._asking.part(job, request.data_producer_job_id, request.data_producer_id)
        answer = await self._asking.status(name, request.authorization)
        return pb.GetDataJobStatusResponse(status=httpbody_pb2.HttpBody(content_type=answer.type, data=answer.body))

    @override
    async def GetDataJobResult(
        self, request: pb.GetDataJobResultRequest, context: object
    ) -> pb.GetDataJobResultResponse:
        job = await self._jobs.find(current_call(), request.data_job_id)
        name = await self._asking.part(job, request.data_producer_job_id, request.data_producer_id)
        destination = request.destination or job_facts(job).metadata.destination
        answer = await self._asking.result(name, destination, request.authorization)
        return pb.GetDataJobResultResponse(result=httpbody_pb2.HttpBody(content_type=answer.type, data=answer.body))


async def _wanted(requests: AsyncIterator[pb.WriteDataJobRequest]) -> Wanted:
    """The job that some pieces ask for."""
    gathered, first = Gathered(), pb.WriteDataJobRequest()
    operations: list[msgspec.Raw] = []
    digest = hashlib.blake2b(digest_size=16)
    begun = False
    async for request in requests:
        if not begun:
            first.data_job_id, first.authorization = request.data_job_id, request.authorization
            first.metadata.CopyFrom(request.metadata)
            begun = True
        gathered.add(request.body.data)
        digest.update(request.body.data)
        for one in request.operations:
            operations.append(written(one, len(operations)))
            digest.update(operations[-1])
    if not first.data_job_id:
        raise invalid("data_job_id", "is missing")
    body = gathered.whole()
    if body and operations:
        raise invalid("operations", "stand beside a body")
    if body:
        metadata, found = write_job(body)
    else:
        metadata, found = _metadata(first), operations
        digest.update(repr(metadata).encode())
    return Wanted(
        name=first.data_job_id,
        metadata=metadata,
        operations=found,
        digest=digest.hexdigest(),
        field=DATA if body else "operations",
        role=NCMP,
        wait=True,
        authorization=first.authorization,
    )


def _metadata(request: pb.WriteDataJobRequest) -> Metadata:
    said = request.metadata
    return Metadata(said.destination or None, said.data_accept_type or None, said.data_content_type or None)
