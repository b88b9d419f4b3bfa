"""The call that a method of the jobs API serves: it sees the things of every API."""

from __future__ import annotations

from jobyard_server.rpc import caller
from jobyard_server.usecases.call import Call


def current_call() -> Call:
    """Who calls right now, as the edge found out."""
    return Call(principal=caller.principal(), api="jobs", every_api=True, request_id=caller.request_id())
