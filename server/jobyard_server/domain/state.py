"""The state machine of jobs and subjobs: states, who may change them, and the one fold from subjobs to their job.

Everything here is data or a pure function. The diagram in ``docs/states.md`` and the comments of
``jobyard.jobs.v1.State`` are checked against :data:`SUBJOB_TRANSITIONS` by the tests.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final


class Mode(StrEnum):
    """How often a job runs."""

    ONCE = "ONCE"
    SCHEDULED = "SCHEDULED"
    STANDING = "STANDING"


class State(StrEnum):
    """Where a job or a subjob stands."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUSPENDED = "SUSPENDED"
    CANCELLING = "CANCELLING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    PARTIALLY_FAILED = "PARTIALLY_FAILED"
    CANCELLED = "CANCELLED"

    @property
    def terminal(self) -> bool:
        """Whether nothing but an explicit retry, resume or delete can follow."""
        return self in TERMINAL


TERMINAL: Final = frozenset({State.SUCCEEDED, State.FAILED, State.PARTIALLY_FAILED, State.CANCELLED})


class Actor(StrEnum):
    """Who makes a transition."""

    USER = "USER"
    WORKER = "WORKER"
    ENGINE = "ENGINE"


_U, _W, _E = Actor.USER, Actor.WORKER, Actor.ENGINE

SUBJOB_TRANSITIONS: Final[dict[tuple[State, State], frozenset[Actor]]] = {
    # A worker takes it.
    (State.PENDING, State.RUNNING): frozenset({_W}),
    # Nobody started it in time, or a producer was told and refused.
    (State.PENDING, State.FAILED): frozenset({_E}),
    (State.PENDING, State.SUSPENDED): frozenset({_U}),
    (State.PENDING, State.CANCELLED): frozenset({_U}),
    # It ends.
    (State.RUNNING, State.SUCCEEDED): frozenset({_W, _U}),
    (State.RUNNING, State.FAILED): frozenset({_W, _E, _U}),
    (State.RUNNING, State.PARTIALLY_FAILED): frozenset({_W}),
    (State.RUNNING, State.CANCELLED): frozenset({_W, _E, _U}),
    # Given back, lost with its lease, or failed with a retry to come.
    (State.RUNNING, State.PENDING): frozenset({_W, _E}),
    (State.RUNNING, State.SUSPENDED): frozenset({_W, _E}),
    (State.RUNNING, State.CANCELLING): frozenset({_U}),
    # Cancelling is a request: work that ends first keeps its own outcome.
    (State.CANCELLING, State.CANCELLED): frozenset({_W, _E, _U}),
    (State.CANCELLING, State.SUCCEEDED): frozenset({_W, _U}),
    (State.CANCELLING, State.FAILED): frozenset({_W, _U}),
    (State.CANCELLING, State.PARTIALLY_FAILED): frozenset({_W}),
    (State.SUSPENDED, State.PENDING): frozenset({_U}),
    (State.SUSPENDED, State.CANCELLED): frozenset({_U}),
    # Its time in all ran out.
    (State.SUSPENDED, State.FAILED): frozenset({_E}),
    # A user retries or resumes what ended badly.
    (State.FAILED, State.PENDING): frozenset({_U}),
    (State.PARTIALLY_FAILED, State.PENDING): frozenset({_U}),
    (State.CANCELLED, State.PENDING): frozenset({_U}),
    # A user gives up a failed job that could still have been resumed.
    (State.FAILED, State.CANCELLED): frozenset({_U}),
}


def may_change(before: State, after: State, actor: Actor) -> bool:
    """Whether ``actor`` may take a subjob from ``before`` to ``after``."""
    return actor in SUBJOB_TRANSITIONS.get((before, after), frozenset())


@dataclass(frozen=True, slots=True)
class Counters:
    """How many subjobs of a job stand in each state; kept on the job row so that the fold reads nothing else."""

    pending: int = 0
    running: int = 0
    suspended: int = 0
    cancelling: int = 0
    succeeded: int = 0
    failed: int = 0
    partially_failed: int = 0
    cancelled: int = 0

    @property
    def live(self) -> int:
        """Subjobs that have not ended."""
        return self.pending + self.running + self.suspended + self.cancelling

    @property
    def ended(self) -> int:
        """Subjobs that have ended."""
        return self.succeeded + self.failed + self.partially_failed + self.cancelled

    @property
    def total(self) -> int:
        """All subjobs."""
        return self.live + self.ended

    def moved(self, before: State | None, after: State | None) -> Counters:
        """The counters after one subjob went from ``before`` to ``after`` (``None``: it did or does not exist)."""
        if before is after:
            return self
        change: dict[str, int] = {}
        if before is not None:
            change[before.lower()] = getattr(self, before.lower()) - 1
        if after is not None:
            change[after.lower()] = getattr(self, after.lower()) + 1
        return replace(self, **change)


@dataclass(frozen=True, slots=True)
class Control:
    """What has been asked of a job, and what its mode adds to the counters."""

    cancel_requested: bool = False
    suspended: bool = False
    split_complete: bool = True
    """ONCE: all subjobs exist."""
    exhausted: bool = False
    """SCHEDULED: no fire is due any more."""
    running_now: int = 0
    """STANDING: subjobs that run the current generation."""
    finished_as: State | None = None
    """A terminal state given by an authority over the job; it wins over every subjob."""


def fold(mode: Mode, control: Control, counters: Counters) -> State:
    """The state of a job, from what was asked of it and its subjob counters; O(1), first match wins."""
    if control.finished_as is not None:
        return control.finished_as
    if control.cancel_requested:
        if counters.live:
            return State.CANCELLING
        finished_otherwise = mode is Mode.ONCE and counters.ended and not counters.cancelled
        if not finished_otherwise:
            return State.CANCELLED
    match mode:
        case Mode.ONCE:
            return _fold_once(control, counters)
        case Mode.SCHEDULED:
            return _fold_scheduled(control, counters)
        case Mode.STANDING:
            return State.RUNNING if control.running_now else State.SUSPENDED


def _fold_once(control: Control, c: Counters) -> State:
    if control.suspended and not c.running and (c.live or not control.split_complete):
        return State.SUSPENDED
    if not c.total:
        return State.SUCCEEDED if control.split_complete else State.PENDING
    if c.running or c.cancelling or (c.live and c.ended):
        return State.RUNNING
    if c.live:
        return State.PENDING
    return _ended(c) if control.split_complete else State.RUNNING


def _ended(c: Counters) -> State:
    """All subjobs ended: one common state, or what the mixture means."""
    if c.partially_failed:
        return State.PARTIALLY_FAILED
    if c.failed:
        return State.FAILED if c.failed == c.total else State.PARTIALLY_FAILED
    return State.CANCELLED if c.cancelled else State.SUCCEEDED


def _fold_scheduled(control: Control, counters: Counters) -> State:
    if control.suspended:
        return State.SUSPENDED
    if control.exhausted and not counters.live:
        return State.SUCCEEDED
    return State.RUNNING
