"""Results of collectable jobs of DMS: taken from producers, kept, and handed to consumers."""

from __future__ import annotations

import orjson
from typing_extensions import override

from jobyard.infojobs.v1 import dms_result_service_pb2, dms_result_service_pb2_grpc, registered_service_pb2
from jobyard_server.apis.infojobs.calling import current_call
from jobyard_server.apis.infojobs.nouns import API, RESULT, job_facts, live
from jobyard_server.apis.infojobs.owing import owe_result
from jobyard_server.apis.registration import Options
from jobyard_server.domain.reason import invalid
from jobyard_server.usecases.finding import job_unknown
from jobyard_server.usecases.ports import Store, Tx


class DmsResultService(dms_result_service_pb2_grpc.DmsResultServiceServicer):
    """Takes and shows results."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options

    @override
    async def PostDmsJobResult(
        self, request: dms_result_service_pb2.PostDmsJobResultRequest, context: object
    ) -> dms_result_service_pb2.PostDmsJobResultResponse:
        call = current_call()
        uri = _uri(request.result.data)
        if not isinstance(uri, str) or not uri:
            raise invalid("data.uri", "must say where the data is")

        def post(tx: Tx) -> None:
            job = tx.job(request.job_id, api=API, tenant=call.tenant)
            if job is None or not live(job) or job.external_id != request.job_id:
                raise invalid("job_id", f"There is no job {request.job_id}")
            tx.put_record(API, call.tenant, RESULT, str(job.number), request.result.data, by=call.user)
            owe_result(tx, job, job_facts(job), request.result.data)

        await self._store.run(post, size=len(request.result.data))
        return dms_result_service_pb2.PostDmsJobResultResponse()

    @override
    async def GetDmsCollection(
        self, request: dms_result_service_pb2.GetDmsCollectionRequest, context: object
    ) -> dms_result_service_pb2.GetDmsCollectionResponse:
        tenant = current_call().tenant
        job = await self._store.read.job(request.job_id, api=API, tenant=tenant)
        found = None
        if job is not None and live(job) and job.external_id == request.job_id:
            found = await self._store.read.record(API, tenant, RESULT, str(job.number))
        if found is None:
            raise job_unknown(request.job_id)
        return dms_result_service_pb2.GetDmsCollectionResponse(result=registered_service_pb2.JobResult(data=found.body))


def _uri(data: str | bytes) -> object:
    """What the data say about where they are; over gRPC they may be anything."""
    try:
        said = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return said.get("uri") if isinstance(said, dict) else None
