"""PackageService: packages for those who run them."""

from __future__ import annotations

from typing_extensions import override

from jobyard.qinling.v1 import package_service_pb2, package_service_pb2_grpc
from jobyard_server.apis.qinling import refusals, registry
from jobyard_server.apis.registration import Options
from jobyard_server.domain.reason import Reason, refuse
from jobyard_server.usecases.ports import Store


class PackageService(package_service_pb2_grpc.PackageServiceServicer):
    """Hands out packages to whoever shows what opens them."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options

    @override
    async def GetPackage(
        self, request: package_service_pb2.GetPackageRequest, context: object
    ) -> package_service_pb2.GetPackageResponse:
        try:
            name = registry.opened(self._store.signer, request.package)
        except ValueError:
            raise refusals.wrong("package", "It was not made by this server.") from None
        content = await self._store.read.blob(name)
        if content is None:
            raise refuse(Reason.RECORD_NOT_FOUND, "The package is not there any more.", record="package")
        return package_service_pb2.GetPackageResponse(content=content)
