"""The registry of services of DMS, with their heartbeats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from typing_extensions import override

from jobyard.infojobs.v1 import dms_registry_service_pb2, dms_registry_service_pb2_grpc, registered_service_pb2
from jobyard_server.apis.infojobs import producers
from jobyard_server.apis.infojobs.calling import current_call
from jobyard_server.apis.infojobs.nouns import API, REGISTERED, SERVICE, UNDISCOVERABLE, heard_of
from jobyard_server.apis.registration import Options
from jobyard_server.domain.job import Attribute
from jobyard_server.domain.reason import Reason, invalid, refuse
from jobyard_server.usecases.ports import Store, Tx

_VERBS: Final = frozenset({"add", "replace"})


class DmsRegistryService(dms_registry_service_pb2_grpc.DmsRegistryServiceServicer):
    """Keeps services, and hears their heartbeats."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._seconds = max(1, round(options.supervision_seconds))

    @override
    async def PutDmsService(
        self, request: dms_registry_service_pb2.PutDmsServiceRequest, context: object
    ) -> dms_registry_service_pb2.PutDmsServiceResponse:
        call = current_call()

        def put(tx: Tx) -> bool:
            before = tx.record(API, call.tenant, SERVICE, request.service_id)
            self._hear(tx, call.tenant, request.service_id, REGISTERED, call.user)
            return before is None

        created = await self._store.run(put)
        return dms_registry_service_pb2.PutDmsServiceResponse(heartbeat_timer=self._seconds, created=created)

    @override
    async def PatchDmsService(
        self, request: dms_registry_service_pb2.PatchDmsServiceRequest, context: object
    ) -> dms_registry_service_pb2.PatchDmsServiceResponse:
        call, status = current_call(), _status(request.operations)

        def patch(tx: Tx) -> None:
            if tx.record(API, call.tenant, SERVICE, request.service_id) is None:
                raise _unknown(request.service_id)
            self._hear(tx, call.tenant, request.service_id, status, call.user)

        await self._store.run(patch)
        return dms_registry_service_pb2.PatchDmsServiceResponse()

    @override
    async def GetDmsService(
        self, request: dms_registry_service_pb2.GetDmsServiceRequest, context: object
    ) -> dms_registry_service_pb2.GetDmsServiceResponse:
        found = await self._store.read.record(API, current_call().tenant, SERVICE, request.service_id)
        if found is None:
            raise _unknown(request.service_id)
        heard = heard_of(found, await self._store.read.now())
        seconds = found.attributes.get("heartbeat_seconds")
        service = registered_service_pb2.RegisteredService(
            service_id=found.id,
            status=REGISTERED if heard else UNDISCOVERABLE,
            heartbeat_timer=seconds if isinstance(seconds, int) else 0,
            created_at=found.created_at * 1000,
            updated_at=found.updated_at * 1000,
        )
        return dms_registry_service_pb2.GetDmsServiceResponse(service=service)

    @override
    async def GetDmsHeartbeat(
        self, request: dms_registry_service_pb2.GetDmsHeartbeatRequest, context: object
    ) -> dms_registry_service_pb2.GetDmsHeartbeatResponse:
        return dms_registry_service_pb2.GetDmsHeartbeatResponse(message="alive")

    def _hear(self, tx: Tx, tenant: str, id_: str, status: str, actor: str) -> None:
        attributes: dict[str, Attribute] = {"heartbeat_seconds": self._seconds, "status": status}
        tx.put_record(API, tenant, SERVICE, id_, "{}", attributes=attributes, by=actor)
        # A producer of the name that is back gets what it has missed.
        producers.look_after_all(tx, tenant, [id_])


def _status(operations: Sequence[registered_service_pb2.ServiceOperation]) -> str:
    """What a heartbeat says; refused unless it is about the status."""
    if not operations:
        raise invalid("operations[0]", "is missing")
    status = REGISTERED
    for place, operation in enumerate(operations):
        if operation.op.lower() not in _VERBS:
            raise invalid(f"operations[{place}].op", "is neither replace nor add")
        if operation.path != "/status":
            raise invalid(f"operations[{place}].path", "is not /status, which is all that can be changed")
        if operation.value not in {REGISTERED, UNDISCOVERABLE}:
            raise invalid(f"operations[{place}].value", f"is neither {REGISTERED} nor {UNDISCOVERABLE}")
        status = operation.value
    return status


def _unknown(id_: str) -> Exception:
    return refuse(Reason.RECORD_NOT_FOUND, f"There is no service {id_!r}.", record=id_)
