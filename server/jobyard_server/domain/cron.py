"""Cron expressions in a time zone: the next instant one names, right where clocks are put forward or back.

cronsim reads expressions and walks the calendar; what happens to wall clocks is decided here, for every expression
alike. Where the clock changes, an expression whose minute and hour fields both name fixed times (neither starts
with ``*``) means the wall clock: a time that is skipped is due at the moment of the change, and one that comes twice
is due the first time only. Any other expression means elapsed time: it is due whenever the clock shows a time that
matches.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from cronsim.cronsim import SYMBOLIC_DAYS, SYMBOLIC_MONTHS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobyard_server.domain.job import Micros

MAX_TEXT: Final = 255

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock, whose zone is kept beside it
_MICROSECOND: Final = timedelta(microseconds=1)
_SECOND: Final = 1_000_000
_MONTHS: Final = {name: number for number, name in enumerate(SYMBOLIC_MONTHS, 1)}
_WEEKDAYS: Final = {name: number for number, name in enumerate(SYMBOLIC_DAYS)}
_NAME: Final = re.compile(r"(?<![\w#/])[a-z]{3}\b", re.IGNORECASE | re.ASCII)
_TO_SUNDAY: Final = re.compile(r"\b([1-6])-0(?![0-9#])")
_OPEN: Final = re.compile(r"(?<![^,])(?:\*|(\w+))/")
"""A step through all that is left of a field."""
_ALONE: Final = re.compile(r"(?<![^,])0*([0-9]+)-0*\1/0*[1-9][0-9]*(?![^,])")
"""A step through a single value."""
_PROBE: Final = 6 * 3600 * _SECOND
"""No zone has ever changed its clock twice within so short a time."""


class SecondsField(StrEnum):
    """Where an expression may say seconds; without them it means second 0."""

    NONE = "NONE"
    """Nowhere: five fields."""
    FIRST = "FIRST"
    """In the first of six fields; five fields say none."""
    LAST = "LAST"
    """In the last of six fields, as croniter reads them; five fields say none. As there, a day must match only one of
    the day fields whenever both leave some days out, be it by a step (``*/2``); and a week that is stepped through ends
    with Saturday (``1/2``)."""


class Cron:
    """One expression, read."""

    __slots__ = ("_sim", "_wall")

    def __init__(self, text: str, seconds: SecondsField = SecondsField.NONE) -> None:
        """Read an expression; ``ValueError`` says in a phrase what is wrong with it."""
        fields = _fields(text, seconds)
        try:
            self._sim = CronSim(" ".join(fields), _NAIVE_EPOCH)
        except CronSimError as error:
            raise ValueError(str(error).replace("Bad", "has a bad")) from None
        if seconds is SecondsField.LAST:
            self._sim.day_and = _all_days(self._sim)
        self._wall = not fields[1].startswith("*") and not fields[2].startswith("*")

    def next(self, after: Micros, zone: ZoneInfo) -> Micros | None:
        """The first instant it names strictly after ``after``; ``None`` when none comes within 50 years."""
        try:
            return self._next_wall(after, zone) if self._wall else self._next_elapsed(after, zone)
        except (StopIteration, OverflowError, ValueError):
            # Nothing matches, or the calendar ends first.
            return None

    def _next_wall(self, after: Micros, zone: ZoneInfo) -> Micros:
        clock = after + _offset(zone, after)
        while True:
            clock = self._match(clock)
            instant = _instant(zone, clock)
            # What the clock shows a second time was due the first time.
            if instant > after:
                return instant

    def _next_elapsed(self, after: Micros, zone: ZoneInfo) -> Micros:
        offset = _offset(zone, after)
        before = after
        while True:
            found = self._match(before + offset) - offset
            change = first_change(zone, after, found)
            if change is None:
                return found
            # Until the change nothing matched; go on with the clock as it is from then on, that moment included.
            after, before, offset = change, change - _SECOND, _offset(zone, change)

    def _match(self, clock: Micros) -> Micros:
        """The first match strictly after what a clock shows."""
        # A walker of its own, which copies no field: they are read only.
        sim = object.__new__(CronSim)
        sim.__dict__ |= self._sim.__dict__
        sim.dt = _NAIVE_EPOCH + timedelta(seconds=clock // _SECOND)
        return (next(sim) - _NAIVE_EPOCH) // _MICROSECOND


def _all_days(sim: CronSim) -> bool:
    """Whether one of the day fields leaves no day out."""
    weekdays = {day % 7 for day in sim.weekdays if isinstance(day, int)}
    return len(weekdays) == 7 or sim.days >= set(range(1, 32))


def _fields(text: str, seconds: SecondsField) -> list[str]:
    """The six fields of an expression, seconds first."""
    if len(text) > MAX_TEXT:
        raise ValueError(f"is longer than {MAX_TEXT} characters")
    fields = text.split()
    if len(fields) == 5:
        fields = ["0", *fields]
    elif len(fields) != 6 or seconds is SecondsField.NONE:
        expected = "5" if seconds is SecondsField.NONE else "5 or 6"
        raise ValueError(f"has {len(fields)} fields, not {expected}")
    elif seconds is SecondsField.LAST:
        fields = [fields[5], *fields[:5]]
    fields[4], fields[5] = _numbers(fields[4], _MONTHS), _numbers(fields[5], _WEEKDAYS)
    # A week may end with Sunday as well as begin with it: "sat-sun".
    fields[5] = _TO_SUNDAY.sub(r"\1-7", fields[5])
    if seconds is SecondsField.LAST:
        # No star is left in front of a step: CronSim would take it as a demand for both days.
        fields[3], fields[5] = _closed(fields[3], 1, 31), _closed(fields[5], 0, 6)
    # CronSim goes on to the end of the field whenever a step has one value to start from, also behind a range.
    return [_ALONE.sub(r"\1", field) for field in fields]


def _numbers(field: str, names: Mapping[str, int]) -> str:
    """A field without names."""
    return _NAME.sub(lambda found: str(names.get(found[0].upper(), found[0])), field)


def _closed(field: str, low: int, high: int) -> str:
    """A field whose steps say where they end."""
    return _OPEN.sub(lambda found: f"{found[1] or low}-{high}/", field)


@lru_cache(maxsize=4096)
def read_cron(text: str, seconds: SecondsField = SecondsField.NONE) -> Cron:
    """The same as ``Cron(text, seconds)``, remembered."""
    return Cron(text, seconds)


@lru_cache(maxsize=8192)
def next_match(text: str, seconds: SecondsField, zone: str, after: Micros) -> Micros | None:
    """When an expression is due next; remembered, for schedules that are due together often say the same."""
    return read_cron(text, seconds).next(after, read_zone(zone))


@lru_cache(maxsize=1024)
def read_zone(name: str) -> ZoneInfo:
    """A time zone by its IANA name; ``ValueError`` when there is none of that name."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        # Names are looked up as files: a folder or an absurd path fails in ways of its own.
        raise ValueError("is not the name of a time zone; names look like Europe/Vienna") from None


# --- clocks of a zone ----------------------------------------------------------------------------------------------


def _offset(zone: ZoneInfo, instant: Micros) -> Micros:
    """How far the clocks of a zone are ahead of UTC."""
    ahead = (_EPOCH + timedelta(microseconds=instant)).astimezone(zone).utcoffset()
    assert ahead is not None
    return ahead // _MICROSECOND


def _instant(zone: ZoneInfo, clock: Micros) -> Micros:
    """When a clock shows a time first; for a time it skips, when it does so."""
    shown = (_NAIVE_EPOCH + timedelta(microseconds=clock)).replace(tzinfo=zone)
    first, second = ((shown.replace(fold=fold) - _EPOCH) // _MICROSECOND for fold in (0, 1))
    if first <= second:
        return first
    # Read by the clock before the change it lies behind the change, read by the one after it before: it is skipped.
    change = first_change(zone, second, first)
    assert change is not None
    return change


def first_change(zone: ZoneInfo, after: Micros, until: Micros) -> Micros | None:
    """The first moment in (``after``, ``until``] at which the clocks of a zone are changed."""
    first, last = ((_EPOCH + timedelta(microseconds=instant)).year for instant in (after, until))
    for year in range(first, last + 1):
        for change in _changes(zone, year):
            if after < change <= until:
                return change
    return None


@lru_cache(maxsize=4096)
def _changes(zone: ZoneInfo, year: int) -> tuple[Micros, ...]:
    """The moments of a year (UTC) at which the clocks of a zone are changed."""
    start, end = ((datetime(y, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND for y in (year, year + 1))
    found = []
    before = _offset(zone, start - _SECOND)
    low = start - _SECOND
    for probe in (*range(start, end, _PROBE), end - _SECOND):
        ahead = _offset(zone, probe)
        if ahead != before:
            found.append(_change_between(zone, low, probe, before))
        before, low = ahead, probe
    return tuple(found)


def _change_between(zone: ZoneInfo, low: Micros, high: Micros, before: Micros) -> Micros:
    """Close in on a change, which happens at a whole second."""
    while high - low > _SECOND:
        middle = (low + high) // 2 // _SECOND * _SECOND
        if _offset(zone, middle) == before:
            low = middle
        else:
            high = middle
    return high
