"""Events of SAS Viya jobs: the routing key by which a receiver tells whose jobs they are about."""

from __future__ import annotations

from typing import Final

from jobyard_server.apis.viya.states import TIMED_OUT, TIMED_OUT_WORD, WORDS
from jobyard_server.domain.event import Event, EventType
from jobyard_server.domain.job import Job
from jobyard_server.domain.state import State

_STATE_CHANGES: Final = frozenset({EventType.JOB_SUBMITTED, EventType.JOB_CHANGED})


def routing_key(job: Job, event: Event) -> str:
    """``job.state.CREATOR.SUBMITTER.STATE`` for a change of state.

    CREATOR is the application that made the request, SUBMITTER the one that submitted it.
    """
    if event.type not in _STATE_CHANGES:
        return ""
    timed_out = event.state is State.FAILED and event.reason == TIMED_OUT
    word = TIMED_OUT_WORD if timed_out else WORDS[event.state]
    return f"job.state.{job.attributes.get('creator')}.{job.attributes.get('submitter')}.{word}"
