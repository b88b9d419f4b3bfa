"""ResultService: the results of read jobs, in the buckets of the object store or kept here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from google.api import httpbody_pb2
from typing_extensions import override

from jobyard.ncmp.v1 import result_service_pb2, result_service_pb2_grpc
from jobyard_server.apis.ncmp import dmi_results
from jobyard_server.apis.ncmp.calling import current_call
from jobyard_server.apis.ncmp.dmi_jobs import READ, ROLE
from jobyard_server.apis.ncmp.nouns import API
from jobyard_server.apis.registration import Options
from jobyard_server.domain.filter import All, Comparison, Op
from jobyard_server.domain.job import Job
from jobyard_server.domain.reason import Reason, refuse
from jobyard_server.domain.stored_json import stored
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.contents import pieces_of
from jobyard_server.usecases.finding import find_subjob
from jobyard_server.usecases.ports import JobQuery, Store
from jobyard_server.usecases.ports.results import StoredObject

MOST: Final = 1000


class ResultService(result_service_pb2_grpc.ResultServiceServicer):
    """Shows results."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._objects = options.objects

    @override
    async def ListResults(
        self, request: result_service_pb2.ListResultsRequest, context: object
    ) -> result_service_pb2.ListResultsResponse:
        call, bucket = current_call(), request.bucket_id
        if self._objects is not None and self._objects.serves(bucket):
            found = await self._objects.list(bucket, dmi_results.prefix_of(call.tenant), MOST)
        else:
            found = await self._kept(call, bucket)
        results = [result_service_pb2.Result(key=one.key, size=one.size, bucket_id=bucket) for one in found]
        return result_service_pb2.ListResultsResponse(bucket_id=bucket, results=results)

    @override
    async def GetResult(
        self, request: result_service_pb2.GetResultRequest, context: object
    ) -> AsyncIterator[result_service_pb2.GetResultResponse]:
        call, bucket, key = current_call(), request.bucket_id, request.key
        pieces: AsyncIterator[bytes] | None = None
        if uid := dmi_results.job_of(call.tenant, key):
            if self._objects is not None and self._objects.serves(bucket):
                pieces = await self._objects.read(bucket, key)
            elif (job := await self._job(call, bucket, uid)) is not None:
                pieces = pieces_of(self._store.read, (await find_subjob(self._store.read, job, 0)).result)
        if pieces is None:
            raise refuse(Reason.RECORD_NOT_FOUND, f"There is no result {key!r} in {bucket!r}.", record=key)
        async for piece in pieces:
            yield result_service_pb2.GetResultResponse(content=httpbody_pb2.HttpBody(data=piece))

    async def _job(self, call: Call, bucket: str, uid: str) -> Job | None:
        """The read job of a result that is kept here."""
        job = await self._store.read.job(uid, api=API, tenant=call.tenant)
        if job is None or job.uid != uid or not job.state.terminal:
            return None
        said = job.attributes
        own = said.get("role") == ROLE and said.get("data_kind") == READ
        return job if own and (said.get("destination") or bucket) == bucket else None

    async def _kept(self, call: Call, bucket: str) -> list[StoredObject]:
        """The results that are kept here for want of such a bucket."""
        where = All(
            tuple(
                Comparison(name, Op.EQ, value)
                for name, value in (("destination", bucket), ("role", ROLE), ("data_kind", READ))
            )
        )
        jobs = await self._store.read.jobs(JobQuery(API, call.tenant, where, limit=MOST))
        ended = [job for job in jobs if job.state.terminal]
        pieces = await self._store.read.first_subjobs([job.number for job in ended])
        found: list[StoredObject] = []
        for job in ended:
            text = pieces[job.number].result
            apart = stored(text)
            size = len(text.encode()) if apart is None else apart.size
            found.append(StoredObject(dmi_results.key_of(job), size))
        return found
