"""The registration of targets."""

from __future__ import annotations

from typing import Final

from typing_extensions import override

from jobyard.ncmp.v1 import inventory_service_pb2 as pb
from jobyard.ncmp.v1 import inventory_service_pb2_grpc
from jobyard_server.apis.ncmp import mapping
from jobyard_server.apis.ncmp.calling import current_call
from jobyard_server.apis.ncmp.dmi_calls import check_dmi_url
from jobyard_server.apis.ncmp.inventory import Registration, register
from jobyard_server.apis.ncmp.targets import Target
from jobyard_server.apis.registration import Options
from jobyard_server.domain.reason import invalid
from jobyard_server.usecases.ports import Store

READY: Final = "READY"


class InventoryService(inventory_service_pb2_grpc.InventoryServiceServicer):
    """Registers targets."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._pattern = options.dmi.url_pattern

    @override
    async def RegisterTargets(self, request: pb.RegisterTargetsRequest, context: object) -> pb.RegisterTargetsResponse:
        self._check(request)
        wanted = Registration(
            removed=list(request.removed_cm_handles),
            created=[_target(request, one) for one in request.created_cm_handles],
            updated=[_target(request, one) for one in request.updated_cm_handles],
            upgraded=list(request.upgraded_cm_handles.cm_handles),
            tag=request.upgraded_cm_handles.module_set_tag,
        )
        outcome = await register(self._store, current_call(), wanted)
        return pb.RegisterTargetsResponse(failed=mapping.failed_targets(outcome))

    def _check(self, request: pb.RegisterTargetsRequest) -> None:
        urls = {
            "dmiPlugin": request.dmi_plugin,
            "dmiDataPlugin": request.dmi_data_plugin,
            "dmiModelPlugin": request.dmi_model_plugin,
            "dmiDatajobsReadPlugin": request.dmi_datajobs_read_plugin,
            "dmiDatajobsWritePlugin": request.dmi_datajobs_write_plugin,
        }
        for name, url in urls.items():
            check_dmi_url(url, name, self._pattern)
        if request.created_cm_handles and not any(urls.values()):
            raise invalid("dmiPlugin", "is missing")


def _target(request: pb.RegisterTargetsRequest, said: pb.TargetInput) -> Target:
    return Target(
        id=said.cm_handle,
        alternate_id=said.alternate_id.strip(),
        dmi=request.dmi_plugin or request.dmi_data_plugin,
        read=request.dmi_datajobs_read_plugin,
        write=request.dmi_datajobs_write_plugin,
        producer=said.data_producer_identifier.strip(),
        tag=said.module_set_tag,
        ready=said.cm_handle_status in {"", READY},
    )
