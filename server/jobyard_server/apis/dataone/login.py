"""LoginService of Data One: a token for a name and a password."""

from __future__ import annotations

from typing_extensions import override

from jobyard.dataone.v1 import login_service_pb2, login_service_pb2_grpc
from jobyard_server.apis.registration import Options
from jobyard_server.domain.reason import Reason, refuse
from jobyard_server.usecases.ports import Store


class LoginService(login_service_pb2_grpc.LoginServiceServicer):
    """Asks whoever knows the users."""

    def __init__(self, _store: Store, options: Options) -> None:
        self._log_in = options.log_in

    @override
    async def Login(self, request: login_service_pb2.LoginRequest, context: object) -> login_service_pb2.LoginResponse:
        if self._log_in is None:
            raise refuse(Reason.CREDENTIALS_INVALID, "This server has no users with passwords.")
        token, seconds = await self._log_in(request.username, request.password)
        return login_service_pb2.LoginResponse(access_token=token, token_type="Bearer", expires_in=int(seconds))  # noqa: S106 - how it is shown
