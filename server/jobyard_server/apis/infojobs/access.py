"""Whether a caller may read or change a job, as an authorization agent says; anything but yes is no."""

from __future__ import annotations

from typing import Final

import orjson

from jobyard.infojobs.v1 import access_pb2
from jobyard_server.apis.infojobs.nouns import API, ICS
from jobyard_server.apis.registration import Options
from jobyard_server.domain.delivery import HttpCall
from jobyard_server.domain.reason import Reason, refuse

READ: Final = "READ"
WRITE: Final = "WRITE"
SECONDS: Final = 10.0
BEARER: Final = "bearer "


async def check_access(options: Options, access: str, type_: str, definition: str, authorization: str) -> None:
    """Refuse what the agent does not allow; without an agent everything is allowed."""
    agent = options.authorization_agents.get(API, "")
    if not agent:
        return
    token = authorization[len(BEARER) :] if authorization.lower().startswith(BEARER) else ""
    question = access_pb2.AccessQuestion(
        access_type=access, info_type_id=type_, job_definition=definition or "null", auth_token=token
    )
    if not await _allowed(options, agent, access_pb2.AccessRequest(input=question)):
        raise refuse(Reason.ACCESS_REFUSED, "The authorization agent does not allow it.")


async def _allowed(options: Options, agent: str, request: access_pb2.AccessRequest) -> bool:
    if options.ask is None or options.print_json is None:
        return False
    body = options.print_json(request, ICS)
    answer = await options.ask(HttpCall("POST", agent, body=body, own_token=True, by_proxy=True), SECONDS)
    if not answer.well:
        return False
    try:
        said = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(said, dict) and said.get("result") is True
