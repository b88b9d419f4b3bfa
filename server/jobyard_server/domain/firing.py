"""What becomes of the due times of a schedule: made, skipped, buffered or missed, by overlap and catch-up policy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from jobyard_server.domain.schedule import (
    MAX_WAITING,
    CatchUp,
    Overlap,
    Progress,
    Schedule,
    made_at,
    newest_due,
    next_due,
)

if TYPE_CHECKING:
    from jobyard_server.domain.job import Micros

ON_TIME: Final = 60_000_000
"""A due time that passed longer ago (microseconds) was missed: what becomes of it is for the catch-up policy to say."""

STEP: Final = 100
"""Due times of one schedule dealt with at once."""

_SECOND: Final = 1_000_000
_ENDS_OTHER: Final = frozenset({Overlap.CANCEL_OTHER, Overlap.TERMINATE_OTHER})


class Fate(StrEnum):
    """What became of a due time."""

    MADE = "MADE"
    """A job was made."""
    REFUSED = "REFUSED"
    """The API refused to make the job."""
    SKIPPED = "SKIPPED"
    """An earlier job was still going on."""
    MISSED = "MISSED"
    """It passed while nobody could make the job, and the catch-up policy passed it over."""


@dataclass(frozen=True, slots=True)
class Passed:
    """Due times without a job: ``first``, and any more up to ``until``."""

    first: Micros
    until: Micros
    fate: Fate


class Clear(StrEnum):
    """What is done first to the jobs made before."""

    NOTHING = "NOTHING"
    CANCEL = "CANCEL"
    TERMINATE = "TERMINATE"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done now."""

    fires: tuple[Micros, ...]
    """Due times whose jobs are to be made."""
    passed: tuple[Passed, ...]
    clear: Clear
    after: Progress


def plan(schedule: Schedule, progress: Progress, now: Micros, *, live: bool, key: str, limit: int = STEP) -> Plan:
    """What to do now, and what is left then. ``live``: a job that the schedule made has not ended yet.

    At most ``limit`` due times are dealt with; when more have passed, the progress left is due again at once. The
    jobs of a lower limit are the first ones of a higher limit.
    """
    arrived, following, missed = _arrived(schedule, progress.next_due, now, key, limit)
    turn = _Turn(schedule.overlap, progress, following, missed, live=live)
    turn.take(arrived, limit)
    return turn.plan()


def _arrived(
    schedule: Schedule, due: Micros | None, now: Micros, key: str, limit: int
) -> tuple[list[Micros], Micros | None, list[Passed]]:
    """The due times that have come, the one that follows them, and those that were missed."""
    if due is None or made_at(schedule, due, key) > now:
        return [], due, []
    first = _caught_up(schedule, due, now)
    missed = [] if first == due else [Passed(due, now if first is None else min(first - 1, now), Fate.MISSED)]
    arrived: list[Micros] = []
    while first is not None and len(arrived) < limit and made_at(schedule, first, key) <= now:
        arrived.append(first)
        first = next_due(schedule, first)
    return arrived, first, missed


def _caught_up(schedule: Schedule, due: Micros, now: Micros) -> Micros | None:
    """The first due time that still counts, from ``due`` on; it may be one to come."""
    # What jitter puts off is not late yet.
    expected = now - round(schedule.jitter * _SECOND)
    if schedule.catch_up_window is not None:
        horizon = expected - round(schedule.catch_up_window * _SECOND)
        if due < horizon:
            found = next_due(schedule, horizon - 1)
            if found is None:
                return None
            due = found
    late = expected - ON_TIME
    # Of jobs that each would end the one before, only the last is worth making.
    all_of_them = schedule.catch_up is CatchUp.ALL and schedule.overlap not in _ENDS_OTHER
    if due >= late or all_of_them:
        return due
    if schedule.catch_up is CatchUp.NONE:
        return next_due(schedule, late - 1)
    newest = newest_due(schedule, due, now)
    return newest if newest < late else next_due(schedule, late - 1)


class _Turn:
    """One plan in the making."""

    def __init__(
        self, overlap: Overlap, progress: Progress, following: Micros | None, missed: list[Passed], *, live: bool
    ) -> None:
        self._overlap = overlap
        self._following = following
        self._live = live
        self._remaining = progress.remaining
        self._buffer = list(progress.buffer)
        self._backfill = list(progress.backfill)
        self._fires: list[Micros] = []
        self._passed = missed
        self._clear = Clear.NOTHING

    def take(self, arrived: list[Micros], limit: int) -> None:
        """Deal with what waits and with what has come."""
        if self._overlap is Overlap.ALLOW:
            self._take_all(arrived, limit)
            return
        if self._overlap in _ENDS_OTHER and arrived:
            self._take_newest(arrived)
        else:
            self._go_on(self._buffer)
            for due in arrived:
                self._take_one(due)
        self._go_on(self._backfill)

    def _take_all(self, arrived: list[Micros], limit: int) -> None:
        first = self._buffer + arrived
        room = max(0, limit - len(first))
        for due in first[:limit] + self._backfill[:room]:
            self._fire(due)
        self._buffer = first[limit:]
        del self._backfill[:room]

    def _take_one(self, due: Micros) -> None:
        most = {Overlap.BUFFER_ONE: 1, Overlap.BUFFER_ALL: MAX_WAITING}.get(self._overlap, 0)
        if not self._live:
            self._fire(due)
        elif len(self._buffer) < most:
            self._buffer.append(due)
        else:
            self._skip(due)

    def _take_newest(self, arrived: list[Micros]) -> None:
        *older, newest = self._buffer + arrived
        for due in older:
            self._skip(due)
        self._buffer.clear()
        if not self._live:
            self._fire(newest)
        elif self._overlap is Overlap.TERMINATE_OTHER:
            self._clear = Clear.TERMINATE
            self._fire(newest)
        else:
            self._clear = Clear.CANCEL
            self._buffer.append(newest)

    def _go_on(self, waiting: list[Micros]) -> None:
        if waiting and not self._live:
            self._fire(waiting.pop(0))

    def _fire(self, due: Micros) -> None:
        if self._remaining is not None:
            if self._remaining < 1:
                return
            self._remaining -= 1
        self._fires.append(due)
        self._live = True

    def _skip(self, due: Micros) -> None:
        last = self._passed[-1] if self._passed else None
        if last is not None and last.fate is Fate.SKIPPED:
            self._passed[-1] = replace(last, until=due)
        else:
            self._passed.append(Passed(due, due, Fate.SKIPPED))

    def plan(self) -> Plan:
        """What came of it."""
        done = self._remaining is not None and self._remaining < 1
        after = Progress(
            None if done else self._following,
            self._remaining,
            () if done else tuple(self._buffer),
            () if done else tuple(self._backfill),
        )
        return Plan(tuple(self._fires), tuple(self._passed), self._clear, after)
