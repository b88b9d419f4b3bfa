"""Schedules: how they are kept, read, changed and fired."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from jobyard_server.domain.reason import Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from jobyard_server.domain.firing import Fate, Passed
    from jobyard_server.domain.job import Job, Micros, NewJob
    from jobyard_server.domain.schedule import Progress, Schedule
    from jobyard_server.usecases.ports.reading import Reader
    from jobyard_server.usecases.ports.work import Submitted


@dataclass(frozen=True, slots=True)
class KeptSchedule:
    """The schedule of a job as it is stored."""

    job: int
    schedule: Schedule
    progress: Progress
    revision: int
    """Grows with every change, by a user or by a fire."""
    last_due: Micros | None
    """The due time dealt with last."""
    fired_at: Micros | None
    """When it was dealt with."""


@dataclass(frozen=True, slots=True)
class DueSchedule:
    """A schedule that has something to do now."""

    job: Job
    kept: KeptSchedule
    live: bool
    """Whether a job that it made has not ended."""


@dataclass(frozen=True, slots=True)
class DueTime:
    """A due time whose job is to be made."""

    job: Job
    """The scheduled job."""
    due_at: Micros


MakeJobs: TypeAlias = "Callable[[Reader, Sequence[DueTime]], Awaitable[Sequence[NewJob | Refusal]]]"
"""How an API makes the jobs of its schedules: one for each due time, or why not, resolved as things are now.

It is asked for many due times at once, of any tenants, so that it can read what they need together. Who made the job
and for which due time is filled in where it is not said.
"""


@dataclass(frozen=True, slots=True)
class Fire:
    """Takes one schedule on: makes jobs for due times, and says how far it has come then."""

    job: int
    revision: int
    """Of the schedule as it was read; when somebody was faster, nothing is done."""
    made: tuple[tuple[Micros, NewJob | Refusal], ...]
    """The due times whose jobs are to be made, or why that cannot be."""
    passed: tuple[Passed, ...]
    after: Progress
    wake_at: Micros | None
    """When there is something to do by the clock."""
    waits: bool
    """Whether there is something to do when no job of it goes on."""


@dataclass(frozen=True, slots=True)
class Fired:
    """What became of a set of :class:`Fire`."""

    won: tuple[bool, ...]
    """Which of them were carried out; the others had been overtaken."""
    jobs: int
    """How many jobs were made."""
    seconds: float
    """How long the processor was busy with it."""


@dataclass(frozen=True, slots=True)
class FireRecord:
    """What became of a due time."""

    due_at: Micros
    until: Micros | None
    """The end of a row of due times with the same fate; ``None`` for one alone."""
    fate: Fate
    child: int | None
    """Number of the job that was made."""
    reason: str
    message: str
    fired_at: Micros


class ScheduleReader(Protocol):
    """The reads of schedules."""

    async def now(self) -> Micros:
        """The time as transactions see it."""

    async def schedule(self, job: int) -> KeptSchedule | None:
        """The schedule of a job."""

    async def schedules(self, jobs: Sequence[int]) -> Mapping[int, KeptSchedule]:
        """The schedules of those of some jobs that have one, by job."""

    async def fires(self, job: int, *, before: Micros | None, limit: int) -> Sequence[FireRecord]:
        """What became of the due times of a schedule, the newest first; those before an instant."""

    async def live_children(self, job: int) -> Sequence[int]:
        """Numbers of the jobs that a schedule made and that have not ended."""


class ScheduleTx(Protocol):
    """The part of a transaction that writes schedules."""

    def schedule(self, job: int) -> KeptSchedule | None:
        """The schedule of a job, locked."""

    def put_schedule(self, job: Job, schedule: Schedule, progress: Progress) -> None:
        """Replace the schedule of a job, and what it has still to do.

        Whether it is heeded follows the control of its job: see ``change_job``.
        """

    def made_fires(self, job: int, first: Micros, last: Micros) -> Sequence[Micros]:
        """The due times from one instant to another for which a job was made."""

    def fire_now(self, job: Job, new: NewJob) -> Submitted:
        """Make a job of a schedule for this moment; raises ``Refused`` as a submit does."""


class ScheduleStore(Protocol):
    """What the engine asks of the store to keep schedules going."""

    async def due_schedules(
        self, limit: int, taken: frozenset[int] = frozenset()
    ) -> tuple[Micros, Sequence[DueSchedule]]:
        """The time, and schedules that have something to do, those that are due longest first.

        Those of the jobs ``taken`` are left out: somebody sees to them already.
        """

    async def fire(self, commands: Sequence[Fire]) -> Fired:
        """Take schedules on, all in one transaction; what one of them meets does not disturb the others."""

    async def forget_fires(self, seconds: float, after: int) -> tuple[int, int]:
        """Forget what became of due times so long ago, for a step of schedules whose jobs come after a number.

        Returns how much was forgotten, and the job to go on after; 0 when all schedules were looked at.
        """
