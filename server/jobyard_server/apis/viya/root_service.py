"""The roots of the SAS Viya APIs, and who is calling."""

from __future__ import annotations

from typing_extensions import override

from jobyard.viya.v1 import identity_service_pb2, identity_service_pb2_grpc, root_service_pb2, root_service_pb2_grpc
from jobyard_server.apis.registration import Options
from jobyard_server.apis.viya.names import current_call
from jobyard_server.usecases.ports import Store


class RootService(root_service_pb2_grpc.RootServiceServicer):
    """Answers where everything of Job Execution is."""

    def __init__(self, _store: Store, _options: Options) -> None:
        """Links are declared, so nothing is needed."""

    @override
    async def GetRoot(
        self, request: root_service_pb2.GetRootRequest, context: object
    ) -> root_service_pb2.GetRootResponse:
        return root_service_pb2.GetRootResponse(version=1)


class DefinitionRootService(root_service_pb2_grpc.DefinitionRootServiceServicer):
    """Answers where everything of Job Definitions is."""

    def __init__(self, _store: Store, _options: Options) -> None:
        """Links are declared, so nothing is needed."""

    @override
    async def GetDefinitionRoot(
        self, request: root_service_pb2.GetDefinitionRootRequest, context: object
    ) -> root_service_pb2.GetDefinitionRootResponse:
        return root_service_pb2.GetDefinitionRootResponse(version=1)


class IdentityService(identity_service_pb2_grpc.IdentityServiceServicer):
    """Answers who is calling."""

    def __init__(self, _store: Store, _options: Options) -> None:
        """The edge knows who is calling."""

    @override
    async def GetCurrentUser(
        self, request: identity_service_pb2.GetCurrentUserRequest, context: object
    ) -> identity_service_pb2.GetCurrentUserResponse:
        user = current_call().user
        return identity_service_pb2.GetCurrentUserResponse(
            user=identity_service_pb2.User(id=user, name=user, type="user", state="active", version=2)
        )
