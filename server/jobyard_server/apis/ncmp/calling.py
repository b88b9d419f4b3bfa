"""The call being served, as the use cases want it."""

from __future__ import annotations

from jobyard_server.apis.ncmp.nouns import API
from jobyard_server.rpc import caller
from jobyard_server.usecases.call import Call


def current_call() -> Call:
    """Who calls."""
    return Call(principal=caller.principal(), api=API, request_id=caller.request_id())
