"""WorkerService: lease pieces of jobs, keep the leases, end them."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from jobyard.jobs.v1 import worker_lease_pb2, worker_service_pb2_grpc, worker_settle_pb2
from jobyard_server.apis.jobs import mapping, mapping_work
from jobyard_server.apis.jobs.calling import current_call
from jobyard_server.apis.registration import Options
from jobyard_server.usecases.acquire import acquire
from jobyard_server.usecases.append_log import append_log
from jobyard_server.usecases.heartbeat import heartbeat
from jobyard_server.usecases.ports import Store
from jobyard_server.usecases.settle import Ending, settle


class WorkerService(worker_service_pb2_grpc.WorkerServiceServicer):
    """Answers WorkerService by its use cases."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options

    @override
    async def Acquire(
        self, request: worker_lease_pb2.AcquireRequest, context: object
    ) -> worker_lease_pb2.AcquireResponse:
        wanted = mapping_work.work_request(request, self._options)
        acquired = await acquire(self._store, current_call(), wanted)
        return worker_lease_pb2.AcquireResponse(
            leases=map(mapping_work.lease_fields, acquired.leases),
            heartbeat_interval=mapping.duration(self._options.heartbeat_seconds),
            session_ttl=mapping.duration(self._options.session_seconds),
        )

    @override
    async def Heartbeat(
        self, request: worker_lease_pb2.HeartbeatRequest, context: object
    ) -> worker_lease_pb2.HeartbeatResponse:
        beaten = await heartbeat(
            self._store,
            current_call(),
            request.session,
            [lease.token for lease in request.leases],
            messages={lease.token: lease.message for lease in request.leases if lease.message},
            session_seconds=self._options.session_seconds,
        )
        return worker_lease_pb2.HeartbeatResponse(
            directives=[mapping_work.DIRECTIVE[directive] for directive in beaten.directives],
            expire_time=mapping.timestamp(beaten.expires_at),
        )

    @override
    async def Complete(
        self, request: worker_settle_pb2.CompleteRequest, context: object
    ) -> worker_settle_pb2.CompleteResponse:
        endings = [
            mapping_work.completion(completion, f"completions[{place}]")
            for place, completion in enumerate(request.completions)
        ]
        settled = await self._settle(endings)
        return worker_settle_pb2.CompleteResponse(settlements=settled)

    @override
    async def Fail(self, request: worker_settle_pb2.FailRequest, context: object) -> worker_settle_pb2.FailResponse:
        endings = [
            mapping_work.failure(failure, f"failures[{place}]") for place, failure in enumerate(request.failures)
        ]
        settled = await self._settle(endings)
        return worker_settle_pb2.FailResponse(settlements=settled)

    @override
    async def Release(
        self, request: worker_settle_pb2.ReleaseRequest, context: object
    ) -> worker_settle_pb2.ReleaseResponse:
        settled = await self._settle([mapping_work.release(token) for token in request.tokens])
        return worker_settle_pb2.ReleaseResponse(settlements=settled)

    async def _settle(self, endings: Sequence[Ending]) -> list[worker_settle_pb2.Settlement]:
        call = current_call()
        settled = await settle(self._store, call, endings)
        return [mapping_work.settlement(one, call.request_id) for one in settled]

    @override
    async def AppendLog(
        self, request: worker_settle_pb2.AppendLogRequest, context: object
    ) -> worker_settle_pb2.AppendLogResponse:
        received = await append_log(self._store, current_call(), request.token, request.offset, request.data)
        return worker_settle_pb2.AppendLogResponse(received=received)
