"""Data jobs as the management of a network hands them to NCMP."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TypeAlias

from google.api import httpbody_pb2
from typing_extensions import override

from jobyard.ncmp.v1 import data_job_service_pb2 as pb
from jobyard.ncmp.v1 import data_job_service_pb2_grpc
from jobyard_server.apis.ncmp import mapping
from jobyard_server.apis.ncmp.asking import Asking, Part
from jobyard_server.apis.ncmp.calling import current_call
from jobyard_server.apis.ncmp.dmi_calls import SubjobName
from jobyard_server.apis.ncmp.jobs import NCMP, DataJobs, Wanted, refused_by_all
from jobyard_server.apis.ncmp.parts import job_facts, news_of
from jobyard_server.apis.ncmp.preparing import Steps, all_at_once
from jobyard_server.apis.ncmp.reading import classify
from jobyard_server.apis.ncmp.refusals import dmi_failed
from jobyard_server.apis.ncmp.requests import DATA, Metadata, bounded, written
from jobyard_server.apis.ncmp.write_body import WriteBody
from jobyard_server.apis.registration import Options
from jobyard_server.domain.job import Job
from jobyard_server.domain.reason import Refused, invalid
from jobyard_server.usecases.ports import Store

Requests: TypeAlias = AsyncIterator[pb.WriteDataJobRequest]


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
        _, name = await self._part(request)
        answer = await self._asking.status(name, request.authorization)
        return pb.GetDataJobStatusResponse(status=httpbody_pb2.HttpBody(content_type=answer.type, data=answer.body))

    @override
    async def GetDataJobResult(
        self, request: pb.GetDataJobResultRequest, context: object
    ) -> AsyncIterator[pb.GetDataJobResultResponse]:
        job, name = await self._part(request)
        destination = request.destination or job_facts(job).metadata.destination
        async with aclosing(self._asking.result(name, destination, request.authorization)) as pieces:
            async for piece in pieces:
                result = httpbody_pb2.HttpBody(content_type=piece.type, data=piece.body)
                yield pb.GetDataJobResultResponse(result=result)

    async def _part(self, request: pb.GetDataJobStatusRequest | pb.GetDataJobResultRequest) -> tuple[Job, SubjobName]:
        """The part that is asked for, and its job: of several jobs of the name the newest that has such a part."""
        jobs = await self._jobs.named(current_call(), request.data_job_id)
        wanted = Part(request.data_producer_job_id, request.data_producer_id, request.dmi_service_name)
        return await self._asking.part(jobs, wanted)


async def _wanted(requests: Requests) -> Wanted:
    """The job that some pieces ask for. Its operations are taken from them while it is split."""
    first = content = await anext(requests, pb.WriteDataJobRequest())
    if not first.data_job_id:
        raise invalid("data_job_id", "is missing")
    while not (content.body.data or content.operations):
        further = await anext(requests, None)
        if further is None:
            break
        content = further
    said = first.metadata
    wanted = Wanted(
        name=first.data_job_id,
        steps=all_at_once(()),
        field=DATA if content.body.data else "operations",
        role=NCMP,
        metadata=Metadata(said.destination or None, said.data_accept_type or None, said.data_content_type or None),
        wait=True,
        authorization=first.authorization,
    )
    steps = _of_body if content.body.data else _of_messages
    wanted.steps = steps(wanted, content, requests)
    return wanted


async def _of_body(wanted: Wanted, first: pb.WriteDataJobRequest, requests: Requests) -> Steps:
    """The operations of a body, and its metadata."""
    body, digest = WriteBody(), hashlib.blake2b(digest_size=16)
    async for request in _all(first, requests):
        if request.operations:
            raise _beside()
        body.add(request.body.data)
        digest.update(request.body.data)
        if found := body.ready():
            wanted.metadata = body.metadata
            yield found
    rest = body.rest()
    wanted.metadata, wanted.digest = body.metadata, digest.hexdigest()
    yield rest


async def _of_messages(wanted: Wanted, first: pb.WriteDataJobRequest, requests: Requests) -> Steps:
    """The operations that are messages."""
    digest, count = hashlib.blake2b(digest_size=16), 0
    async for request in _all(first, requests):
        if request.body.data:
            raise _beside()
        found = [written(one, number) for number, one in enumerate(request.operations, count)]
        count += len(found)
        for one in found:
            digest.update(one)
        yield bounded(found, count, wanted.field)
    digest.update(repr(wanted.metadata).encode())
    wanted.digest = digest.hexdigest()


async def _all(first: pb.WriteDataJobRequest, others: Requests) -> Requests:
    yield first
    async for request in others:
        yield request


def _beside() -> Refused:
    return invalid("operations", "stand beside a body")
