"""RootService: which versions there are."""

from __future__ import annotations

from typing_extensions import override

from jobyard.qinling.v1 import root_service_pb2, root_service_pb2_grpc
from jobyard_server.apis.registration import Options
from jobyard_server.usecases.ports import Store


class RootService(root_service_pb2_grpc.RootServiceServicer):
    """Answers what clients ask first."""

    def __init__(self, store: Store, options: Options) -> None:
        """Nothing of the server is needed."""

    @override
    async def ListVersions(
        self, request: root_service_pb2.ListVersionsRequest, context: object
    ) -> root_service_pb2.ListVersionsResponse:
        return root_service_pb2.ListVersionsResponse(versions=[root_service_pb2.Version(id="v1.0", status="CURRENT")])

    @override
    async def GetVersion(
        self, request: root_service_pb2.GetVersionRequest, context: object
    ) -> root_service_pb2.GetVersionResponse:
        return root_service_pb2.GetVersionResponse()
