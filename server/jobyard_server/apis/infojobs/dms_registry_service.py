"""The registry of services of DMS, with their heartbeats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson
from typing_extensions import override

from jobyard.infojobs.v1 import dms_registry_service_pb2, dms_registry_service_pb2_grpc, registered_service_pb2
from jobyard_server.apis.infojobs import producers
from jobyard_server.apis.infojobs.calling import current_call
from jobyard_server.apis.infojobs.nouns import API, REGISTERED, SERVICE, UNDISCOVERABLE, heard_of
from jobyard_server.apis.registration import Options
from jobyard_server.domain.job import Attribute
from jobyard_server.domain.reason import Reason, invalid, refuse
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.ports import Store, Tx

_VERBS: Final = frozenset({"add", "replace"})
_SAID: Final = ("version", "display_name", "description", "service_type", "service_href")


class DmsRegistryService(dms_registry_service_pb2_grpc.DmsRegistryServiceServicer):
    """Keeps services, and hears their heartbeats."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._seconds = max(1, round(options.supervision_seconds))

    @override
    async def PutDmsService(
        self, request: dms_registry_service_pb2.PutDmsServiceRequest, context: object
    ) -> dms_registry_service_pb2.PutDmsServiceResponse:
        call, said = current_call(), _said(request.service)

        def put(tx: Tx) -> bool:
            before = tx.record(API, call.tenant, SERVICE, request.service_id)
            self._hear(tx, call, request.service_id, said, REGISTERED)
            return before is None

        created = await self._store.run(put)
        return dms_registry_service_pb2.PutDmsServiceResponse(heartbeat_timer=self._seconds, created=created)

    @override
    async def PatchDmsService(
        self, request: dms_registry_service_pb2.PatchDmsServiceRequest, context: object
    ) -> dms_registry_service_pb2.PatchDmsServiceResponse:
        call, status = current_call(), _status(request.operations)

        def patch(tx: Tx) -> None:
            before = tx.record(API, call.tenant, SERVICE, request.service_id)
            if before is None:
                raise _unknown(request.service_id)
            self._hear(tx, call, before.id, before.body, status)

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
        service = registered_service_pb2.RegisteredService(
            **orjson.loads(found.body),
            name=found.id,
            updated_at=found.updated_at * 1000,
            created_at=found.created_at * 1000,
            status=REGISTERED if heard else UNDISCOVERABLE,
        )
        return dms_registry_service_pb2.GetDmsServiceResponse(service=service)

    @override
    async def GetDmsHeartbeat(
        self, request: dms_registry_service_pb2.GetDmsHeartbeatRequest, context: object
    ) -> dms_registry_service_pb2.GetDmsHeartbeatResponse:
        return dms_registry_service_pb2.GetDmsHeartbeatResponse(message="alive")

    def _hear(self, tx: Tx, call: Call, id_: str, said: str, status: str) -> None:
        attributes: dict[str, Attribute] = {"heartbeat_seconds": self._seconds, "status": status}
        tx.put_record(API, call.tenant, SERVICE, id_, said, attributes=attributes, by=call.user)
        # A producer of the name that is back gets what it has missed.
        producers.look_after_all(tx, call.tenant, [id_])


def _said(service: registered_service_pb2.RegisteredService) -> str:
    """What a service says of itself, as it is kept."""
    return orjson.dumps({name: getattr(service, name) for name in _SAID}).decode()


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
