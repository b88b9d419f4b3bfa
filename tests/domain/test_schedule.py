"""Schedules: what they may say, when they are due, and what users change."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobyard_server.domain.cron import SecondsField
from jobyard_server.domain.reason import Reason, Refused
from jobyard_server.domain.schedule import (
    CatchUp,
    Overlap,
    Progress,
    Schedule,
    between,
    check_schedule,
    first_coming,
    first_due,
    made_at,
    newest_due,
    next_due,
    resumed,
    retimed,
    waits,
    wake_at,
)

SECOND = 1_000_000
MINUTE = 60 * SECOND


def at(text: str) -> int:
    instant = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


NOW = at("2026-01-15T10:00:30")


# --- what a schedule may say ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "field"),
    [
        (Schedule(), "schedule"),
        (Schedule(cron="* * * * *", at=NOW), "schedule"),
        (Schedule(cron="* * * *"), "schedule.cron"),
        (Schedule(cron="0 0 30 2 *"), "schedule.cron"),
        (Schedule(cron="* * * * *", time_zone="Mars/Olympus"), "schedule.time_zone"),
        (Schedule(at=NOW, time_zone="Mars/Olympus"), "schedule.time_zone"),
        (Schedule(cron="* * * * *", start=NOW, end=NOW - 1), "schedule.end_time"),
        (Schedule(cron="* * * * *", end=NOW), "schedule.cron"),
        (Schedule(at=NOW, end=NOW), "schedule"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_field(schedule, field):
    with pytest.raises(Refused) as caught:
        check_schedule(schedule, NOW)
    assert caught.value.refusal.reason is Reason.INVALID_FIELD
    assert [violation.field for violation in caught.value.refusal.violations] == [field]


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(cron="* * * * *"),
        Schedule(cron="*/5 * * * *", time_zone="Europe/Vienna", start=NOW, end=NOW + 10 * MINUTE),
        Schedule(at=NOW - MINUTE),
        Schedule(at=NOW + MINUTE),
    ],
)
def test_what_makes_sense_is_taken(schedule):
    check_schedule(schedule, NOW)


# --- due times -----------------------------------------------------------------------------------------------------


def test_start_and_end_bound_the_times_both_included():
    schedule = Schedule(cron="*/10 * * * *", start=at("2026-01-15T11:00:00"), end=at("2026-01-15T11:20:00"))
    assert first_coming(schedule, Progress(first_due(schedule, NOW)), 10) == [
        at("2026-01-15T11:00:00"), at("2026-01-15T11:10:00"), at("2026-01-15T11:20:00"),
    ]  # fmt: skip


def test_what_remains_bounds_the_times():
    schedule = Schedule(cron="* * * * *")
    progress = Progress(first_due(schedule, NOW), remaining=2)
    assert first_coming(schedule, progress, 10) == [at("2026-01-15T10:01:00"), at("2026-01-15T10:02:00")]


def test_one_time_comes_once_be_it_in_the_past():
    schedule = Schedule(at=NOW - MINUTE)
    assert first_due(schedule, NOW) == NOW - MINUTE
    assert first_coming(schedule, Progress(NOW - MINUTE), 10) == [NOW - MINUTE]


def test_an_odd_time_set_by_hand_is_followed_by_those_of_the_schedule():
    schedule = Schedule(cron="*/10 * * * *")
    odd = at("2026-01-15T10:03:17")
    assert first_coming(schedule, Progress(odd), 3) == [
        odd, at("2026-01-15T10:10:00"), at("2026-01-15T10:20:00"),
    ]  # fmt: skip


def test_the_times_of_a_range_include_both_its_ends():
    schedule = Schedule(cron="0 * * * *")
    found = list(between(schedule, at("2026-01-15T10:00:00"), at("2026-01-15T12:00:00")))
    assert found == [at("2026-01-15T10:00:00"), at("2026-01-15T11:00:00"), at("2026-01-15T12:00:00")]


CRONS = st.sampled_from(["* * * * *", "*/7 * * * *", "13 4 * * *", "* 9 * * 1", "0 0 1 * *", "17 3 29 2 *"])


@given(CRONS, st.integers(0, 400 * 1440), st.integers(0, 3 * 1440))
def test_the_newest_time_is_found_without_walking_to_it(cron, since, minutes):
    schedule = Schedule(cron=cron)
    due = first_due(schedule, NOW + since * MINUTE)
    now = due + minutes * MINUTE
    walked = due
    while (following := next_due(schedule, walked)) <= now:
        walked = following
    assert newest_due(schedule, due, now) == walked


def test_the_newest_of_a_year_of_seconds_is_found_fast():
    schedule = Schedule(cron="* * * * * *", seconds=SecondsField.FIRST)
    due = at("2025-01-15T10:00:00")
    assert newest_due(schedule, due, NOW) == NOW


# --- jitter --------------------------------------------------------------------------------------------------------


@given(st.floats(0.001, 10_000), st.text(max_size=20), st.integers(0, 10**6))
def test_jitter_is_the_same_every_time_and_never_reaches_the_next_one(jitter, key, since):
    schedule = Schedule(cron="*/3 * * * *", jitter=jitter)
    due = next_due(schedule, NOW + since * SECOND)
    made = made_at(schedule, due, key)
    assert due <= made < due + min(jitter * SECOND + 1, 3 * MINUTE)
    assert made_at(schedule, due, key) == made


def test_jitter_spreads_schedules_that_are_due_together():
    schedule = Schedule(cron="0 * * * *", jitter=600)
    due = next_due(schedule, NOW)
    offsets = sorted(made_at(schedule, due, f"job {n}") - due for n in range(400))
    assert offsets[0] < 30 * SECOND
    assert offsets[-1] > 570 * SECOND
    assert 240 * SECOND < offsets[200] < 360 * SECOND


# --- changes by users ----------------------------------------------------------------------------------------------

MISSED = at("2026-01-15T09:00:00")


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        (CatchUp.ALL, MISSED),
        (CatchUp.NEWEST, at("2026-01-15T10:00:00")),
        (CatchUp.NONE, at("2026-01-15T10:01:00")),
    ],
)
def test_a_resumed_schedule_catches_up_by_its_policy(catch_up, expected):
    progress = Progress(MISSED, remaining=3, buffer=(1,))
    schedule = Schedule(cron="* * * * *", catch_up=catch_up)
    assert resumed(schedule, progress, NOW) == replace(progress, next_due=expected)


@pytest.mark.parametrize("catch_up", CatchUp)
def test_a_schedule_resumed_in_time_has_missed_nothing(catch_up):
    progress = Progress(NOW + 1)
    assert resumed(Schedule(cron="* * * * *", catch_up=catch_up), progress, NOW) == progress


def test_one_time_that_passed_during_a_pause_is_missed_too():
    progress = Progress(MISSED)
    assert resumed(Schedule(at=MISSED, catch_up=CatchUp.NONE), progress, NOW).over
    assert resumed(Schedule(at=MISSED), progress, NOW) == progress


def test_a_change_of_times_starts_anew_and_any_other_change_does_not():
    before, progress = Schedule(cron="0 12 * * *"), Progress(at("2026-01-15T12:00:00"), buffer=(1,))
    assert retimed(before, replace(before, overlap=Overlap.ALLOW, jitter=5), progress, NOW) == progress
    after = retimed(before, replace(before, cron="* * * * *"), progress, NOW)
    assert after == replace(progress, next_due=at("2026-01-15T10:01:00"))


def test_what_waits_for_an_end_is_not_waited_for_by_the_clock():
    schedule, waiting = Schedule(cron="* * * * *"), Progress(NOW, backfill=(1, 2))
    assert waits(schedule, waiting)
    assert wake_at(schedule, waiting, "") == NOW
    free = replace(schedule, overlap=Overlap.ALLOW)
    assert not waits(free, waiting)
    assert wake_at(free, waiting, "") == 0
    assert wake_at(free, Progress(None), "") is None
