"""How many types, producers and jobs there are."""

from __future__ import annotations

from typing_extensions import override

from jobyard.infojobs.v1 import coordinator_service_pb2, coordinator_service_pb2_grpc
from jobyard_server.apis.infojobs.calling import current_call
from jobyard_server.apis.infojobs.jobs import count_live
from jobyard_server.apis.infojobs.lookup import Reading
from jobyard_server.apis.registration import Options
from jobyard_server.usecases.ports import Store


class CoordinatorService(coordinator_service_pb2_grpc.CoordinatorServiceServicer):
    """Tells how the service is doing."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options

    @override
    async def GetCoordinatorStatus(
        self, request: coordinator_service_pb2.GetCoordinatorStatusRequest, context: object
    ) -> coordinator_service_pb2.GetCoordinatorStatusResponse:
        tenant = current_call().tenant
        reading = Reading(self._store.read, tenant)
        return coordinator_service_pb2.GetCoordinatorStatusResponse(
            status="success",
            no_of_producers=len(await reading.producer_names()),
            no_of_types=len(await reading.type_names()),
            no_of_jobs=await count_live(self._store.read, tenant),
        )
