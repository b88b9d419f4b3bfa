"""What NCMP data jobs are made of, and how each is kept: jobs, their parts at data producers, targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from jobyard_server.domain.fields import ApiFields, Kind
from jobyard_server.domain.state import State

API: Final = "ncmp"
TARGET: Final = "target"
"""Kind of the record of a target; its id is the identifier of the target."""
REFERENCE: Final = "reference"
"""Kind of the record that leads from an alternate id to its target."""
QUEUE: Final = "ncmp"
"""Where parts of jobs stand that are handed to DMI services. It is closed: no worker ever gets them."""

FINISHED: Final = "FINISHED"
NOT_STARTED: Final = "NOT_STARTED"
CANCELLING: Final = "CANCELLING"
WORDS: Final[Mapping[State, str]] = {
    State.PENDING: NOT_STARTED,
    State.SUSPENDED: NOT_STARTED,
    State.SUCCEEDED: FINISHED,
}
"""The words of ProcessMonitor where they differ from ours."""

FIELDS: Final = ApiFields(
    attributes={
        "destination": Kind.TEXT,
        "role": Kind.TEXT,
        "data_job": Kind.TEXT,
        "data_kind": Kind.TEXT,
        "data_producer": Kind.TEXT,
    },
    indexed=("role", "destination", "data_producer", "display_name"),
    finders=frozenset({"display_name"}),
)
