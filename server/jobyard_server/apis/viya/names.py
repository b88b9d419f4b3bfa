"""What everything of SAS Viya is called in the store, and who is calling."""

from __future__ import annotations

import re
from typing import Final

from jobyard_server.domain.reason import Reason, Refused, refuse
from jobyard_server.rpc import caller
from jobyard_server.usecases.call import Call

API: Final = "viya"
DEFINITION: Final = "definition"
"""The kind of definitions that are job definitions."""
REQUEST: Final = "request"
"""The kind of definitions that are kept job requests."""
PROVIDER: Final = "provider"
"""The kind of executors that are providers."""
HEARTBEAT: Final = "heartbeat"
"""The kind of the records that keep when a job was last heard of, and of the deliveries that look at them."""

QUEUE: Final = "viya/"
"""How the queue of a provider begins that names none itself; its identifier follows."""
APPLICATION: Final = "jobExecution"
"""The application of requests that name none."""

_URI: Final = re.compile(
    r"(?:.*/)?(jobDefinitions/definitions|jobExecution/jobs|jobExecution/jobRequests)/([^/?#]+)/?\Z"
)


def current_call() -> Call:
    """Who calls right now, as the edge found out."""
    return Call(principal=caller.principal(), api=API, request_id=caller.request_id())


def id_in(uri: str, collection: str) -> str:
    """The identifier in the URI of a resource; empty for the URI of something else."""
    found = _URI.match(uri)
    return found[2] if found is not None and found[1] == collection else ""


def request_unknown(id_: str) -> Refused:
    """The refusal for a job request or definition that does not exist."""
    return refuse(Reason.DEFINITION_NOT_FOUND, f"There is no {id_!r}.", definition=id_)
