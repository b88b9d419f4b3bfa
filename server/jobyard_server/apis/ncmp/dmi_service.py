"""DmiJobService: data jobs of data producers, as NCMP hands them to a DMI service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Protocol, TypeVar

import orjson
from google.api import httpbody_pb2
from typing_extensions import override

from jobyard.ncmp.v1 import dmi_access_pb2, dmi_create_pb2, dmi_service_pb2_grpc
from jobyard_server.apis.ncmp import dmi_jobs, dmi_results, mapping
from jobyard_server.apis.ncmp.calling import current_call
from jobyard_server.apis.ncmp.dmi_intake import take
from jobyard_server.apis.registration import Options
from jobyard_server.domain.reason import Reason, refuse
from jobyard_server.usecases.cancel_job import cancel_job
from jobyard_server.usecases.contents import pieces_of
from jobyard_server.usecases.finding import find_subjob
from jobyard_server.usecases.ports import Store


class Created(Protocol):
    """Any of the responses that say what was created."""

    def __init__(
        self, *, sub_job_id: str, dmi_service_name: str, data_producer_id: str, data_producer_job_id: str | None
    ) -> None:
        """Say it."""


C = TypeVar("C", bound=Created)


class DmiJobService(dmi_service_pb2_grpc.DmiJobServiceServicer):
    """Takes data jobs and shows them."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options

    @override
    async def CreateWriteJob(
        self, request: AsyncIterator[dmi_create_pb2.CreateWriteJobRequest], context: object
    ) -> dmi_create_pb2.CreateWriteJobResponse:
        return await self._create(request, dmi_create_pb2.CreateWriteJobResponse, reads=False)

    @override
    async def CreateReadJob(
        self, request: AsyncIterator[dmi_create_pb2.CreateReadJobRequest], context: object
    ) -> dmi_create_pb2.CreateReadJobResponse:
        return await self._create(request, dmi_create_pb2.CreateReadJobResponse, reads=True)

    @override
    async def CreateMixedJob(
        self, request: AsyncIterator[dmi_create_pb2.CreateMixedJobRequest], context: object
    ) -> dmi_create_pb2.CreateMixedJobResponse:
        return await self._create(request, dmi_create_pb2.CreateMixedJobResponse, reads=None)

    async def _create(self, pieces: Any, answer: type[C], *, reads: bool | None) -> C:
        intake = await take(pieces)
        job = await dmi_jobs.create(self._store, current_call(), intake, reads=intake.reads if reads is None else reads)
        name = str(job.number)
        return answer(
            sub_job_id=name,
            dmi_service_name=self._options.public_url or "jobyard",
            data_producer_id=intake.producer,
            data_producer_job_id=name if intake.first_generation else None,
        )

    @override
    async def GetJobStatus(
        self, request: dmi_access_pb2.GetJobStatusRequest, context: object
    ) -> dmi_access_pb2.GetJobStatusResponse:
        job = await dmi_jobs.find(
            self._store.read,
            current_call(),
            request.data_producer_job_id,
            request.data_producer_id,
            request.data_job_id,
        )
        return dmi_access_pb2.GetJobStatusResponse(status=mapping.status(job.state))

    @override
    async def GetJobResult(
        self, request: dmi_access_pb2.GetJobResultRequest, context: object
    ) -> AsyncIterator[dmi_access_pb2.GetJobResultResponse]:
        call, read = current_call(), self._store.read
        job = await dmi_jobs.find(
            read, call, request.data_producer_job_id, request.data_producer_id, request.data_job_id
        )
        if not job.state.terminal:
            raise refuse(
                Reason.STATE_CONFLICT,
                f"The job {job.number} has no result yet.",
                job=str(job.number),
                state=job.state_word,
            )
        if job.attributes.get("data_kind") == dmi_jobs.READ:
            destination = str(job.attributes.get("destination") or request.destination)
            uri = dmi_results.uri_of(self._options, job, destination)
            yield _result(orjson.dumps({"resulturi": uri}))
            return
        subjob = await find_subjob(read, job, 0)
        async with aclosing(pieces_of(read, subjob.result)) as pieces:
            async for piece in pieces:
                yield _result(piece)

    @override
    async def CancelJob(
        self, request: dmi_access_pb2.CancelJobRequest, context: object
    ) -> dmi_access_pb2.CancelJobResponse:
        call = current_call()
        found = await dmi_jobs.find(self._store.read, call, request.data_producer_job_id, request.data_producer_id)
        job = await cancel_job(self._store, call, found.number)
        return dmi_access_pb2.CancelJobResponse(status=mapping.status(job.state))


def _result(data: bytes) -> dmi_access_pb2.GetJobResultResponse:
    return dmi_access_pb2.GetJobResultResponse(content=httpbody_pb2.HttpBody(data=data))
