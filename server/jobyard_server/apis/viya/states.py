"""The states of jobs in the words of SAS Viya."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from jobyard.viya.v1 import job_pb2
from jobyard_server.domain.job import Job
from jobyard_server.domain.reason import Refused, invalid
from jobyard_server.domain.state import State

TIMED_OUT: Final = "TIMED_OUT"
"""The reason of a job that failed because it was not heard of."""
BY_USER: Final = "CANCELLED_BY_USER"

WORDS: Final[Mapping[State, str]] = {
    State.PENDING: "pending",
    State.RUNNING: "running",
    State.SUSPENDED: "pending",
    # Somebody still runs it.
    State.CANCELLING: "running",
    State.SUCCEEDED: "completed",
    State.PARTIALLY_FAILED: "completed",
    State.FAILED: "failed",
    State.CANCELLED: "canceled",
}
"""The word for each state; a job that failed for TIMED_OUT has one of its own."""
TIMED_OUT_WORD: Final = "timedOut"
ODD_WORDS: Final[Mapping[tuple[State, str], str]] = {(State.FAILED, TIMED_OUT): TIMED_OUT_WORD}

NUMBERS: Final[Mapping[str, job_pb2.JobState.ValueType]] = {
    "pending": job_pb2.JOB_STATE_PENDING,
    "running": job_pb2.JOB_STATE_RUNNING,
    "canceled": job_pb2.JOB_STATE_CANCELED,
    "completed": job_pb2.JOB_STATE_COMPLETED,
    "failed": job_pb2.JOB_STATE_FAILED,
    TIMED_OUT_WORD: job_pb2.JOB_STATE_TIMED_OUT,
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A state that a caller asks for."""

    state: State
    reason: str = ""

    @property
    def final(self) -> bool:
        """Whether nothing follows."""
        return self.state.terminal


_WANTED: Final[Mapping[str, Wanted]] = {
    "pending": Wanted(State.PENDING),
    "running": Wanted(State.RUNNING),
    "canceled": Wanted(State.CANCELLED, BY_USER),
    "completed": Wanted(State.SUCCEEDED),
    "failed": Wanted(State.FAILED, "FAILED"),
    TIMED_OUT_WORD: Wanted(State.FAILED, TIMED_OUT),
}


def wanted(word: str) -> Wanted:
    """The state that a word asks for; the words are exact."""
    found = _WANTED.get(word)
    if found is None:
        raise invalid("value", f"is one of {', '.join(_WANTED)}", given=word)
    return found


def missing() -> Refused:
    """The refusal of a request that names no state."""
    return invalid("state", "is missing")


def word_of(job: Job) -> str:
    """The word for the state of a job."""
    return ODD_WORDS.get((job.state, job.reason)) or WORDS[job.state]
