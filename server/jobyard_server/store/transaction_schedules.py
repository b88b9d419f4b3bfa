"""The part of a transaction that writes schedules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from jobyard_server.domain.state import Mode
from jobyard_server.store.rows_schedules import (
    FIRE_COLUMNS,
    PROGRESS,
    SCHEDULE_COLUMNS,
    kept_schedule,
    new_fire,
    standing,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobyard_server.domain.job import Job, Micros, NewJob
    from jobyard_server.domain.schedule import Progress, Schedule
    from jobyard_server.domain.state import Control
    from jobyard_server.store.unit import Unit
    from jobyard_server.usecases.ports import Submitted
    from jobyard_server.usecases.ports.schedules import KeptSchedule

_SCHEDULE: Final = f"SELECT {', '.join(SCHEDULE_COLUMNS)} FROM schedules WHERE job = ?"
_CHANGED: Final = ("spec", *PROGRESS)
_TOUCH: Final = "UPDATE schedules SET revision = revision + 1, active = ? WHERE job = ?"
_BUMP: Final = "UPDATE schedules SET revision = revision + 1 WHERE job = ?"
_MADE: Final = "SELECT due_at FROM fires WHERE job = ? AND due_at BETWEEN ? AND ? AND fate = 'MADE' ORDER BY due_at"


class ScheduleTransaction(ABC):
    """Reads and changes of schedules."""

    _unit: Unit

    @abstractmethod
    def submit(self, job: NewJob) -> Submitted:
        """Submit a job."""

    def schedule(self, job: int) -> KeptSchedule | None:
        """The schedule of a job; nobody else changes it until the transaction ends."""
        for row in self._unit.sets.all(self._unit.sets.dialect.locking(_SCHEDULE, "schedules"), (job,)):
            return kept_schedule(row)
        return None

    def put_schedule(self, job: Job, schedule: Schedule, progress: Progress) -> None:
        """Replace the schedule of a job, and what it has still to do."""
        row = (job.number, *standing(schedule, progress, job.uid))
        self._unit.sets.update("schedules", ("job",), _CHANGED, [row])
        self._unit.sets.run(_BUMP, (job.number,))

    def made_fires(self, job: int, first: Micros, last: Micros) -> Sequence[Micros]:
        """The due times from one instant to another for which a job was made."""
        return [due for (due,) in self._unit.sets.all(_MADE, (job, first, last))]

    def fire_now(self, job: Job, new: NewJob) -> Submitted:
        """Make a job of a schedule for this moment."""
        due = self._moment(job.number)
        submitted = self.submit(replace(new, parent=job.number, due_at=due))
        if not submitted.replayed:
            row = new_fire(job.number, due, self._unit.now, child=submitted.job.number)
            self._unit.sets.insert("fires", FIRE_COLUMNS, [row])
        return submitted

    def _moment(self, job: int) -> Micros:
        """Now, or a little later where another fire has this instant already."""
        due = self._unit.now
        while self._unit.sets.all(_MADE, (job, due, due)):
            due += 1
        return due

    def heed(self, job: Job, control: Control) -> None:
        """Let the schedule of a job follow its control."""
        if job.mode is not Mode.SCHEDULED:
            return
        stopped = control.suspended or control.cancel_requested or control.exhausted or control.finished_as is not None
        self._unit.sets.run(_TOUCH, (not stopped, job.number))
