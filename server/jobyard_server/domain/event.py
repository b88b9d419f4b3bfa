"""What happened: one event per state change, written in the same transaction as the change."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from jobyard_server.domain.hot import hot

if TYPE_CHECKING:
    from jobyard_server.domain.job import Micros
    from jobyard_server.domain.state import State


ENGINE: Final = "jobyard"
"""Who made happen what nobody asked for."""


class EventType(StrEnum):
    """What an event tells."""

    JOB_SUBMITTED = "JOB_SUBMITTED"
    JOB_CHANGED = "JOB_CHANGED"
    """The job's state changed."""
    JOB_UPDATED = "JOB_UPDATED"
    """Something but its state changed."""
    JOB_DELETED = "JOB_DELETED"
    CANCEL_REQUESTED = "CANCEL_REQUESTED"
    SUSPEND_REQUESTED = "SUSPEND_REQUESTED"
    RESUME_REQUESTED = "RESUME_REQUESTED"
    RETRY_REQUESTED = "RETRY_REQUESTED"
    ATTEMPT_STARTED = "ATTEMPT_STARTED"
    ATTEMPT_ENDED = "ATTEMPT_ENDED"
    SUBJOB_CHANGED = "SUBJOB_CHANGED"
    """A subjob's state changed, and no attempt of it started or ended."""
    FIRE_REFUSED = "FIRE_REFUSED"
    """The schedule of the job was due, and the job to be made was refused."""
    FINISH_REQUESTED = "FINISH_REQUESTED"
    """Somebody with authority over the job said how it ends."""


@hot
@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a job."""

    position: int
    """Order over all jobs; what a watch resumes from."""
    job: int
    job_uid: str
    job_seq: int
    """Order within the job: 1, 2, 3 ... without a gap."""
    api: str
    tenant: str
    type: EventType
    state: State
    """State of the job after the event."""
    subjob: int | None
    """Ordinal of the subjob concerned."""
    subjob_state: State | None
    attempt: int | None
    reason: str
    message: str
    actor: str
    request_id: str
    at: Micros
