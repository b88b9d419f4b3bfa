"""Cron expressions against what a clock shows, minute by minute, in zones that change their clocks in every way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobyard_server.domain.cron import Cron, SecondsField, read_cron, read_zone

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE = 60_000_000


def micros(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


def when(instant: int | None, zone: str = "UTC") -> str:
    assert instant is not None
    return (EPOCH + timedelta(microseconds=instant)).astimezone(ZoneInfo(zone)).isoformat()


def fires(text: str, zone: str, start: str, end: str, seconds: SecondsField = SecondsField.NONE) -> list[str]:
    """All due times in (start, end], as the clock of the zone shows them."""
    cron, at, until, found = read_cron(text, seconds), micros(start), micros(end), []
    while (due := cron.next(at, ZoneInfo(zone))) is not None and due <= until:
        found.append(when(due, zone))
        at = due
    return found


# --- the documented table ------------------------------------------------------------------------------------------

SPRING = ("2026-03-08T00:00:00-05:00", "2026-03-08T23:59:59-04:00")
AUTUMN = ("2026-11-01T00:00:00-04:00", "2026-11-01T23:59:59-05:00")


@pytest.mark.parametrize(
    ("text", "day", "expected"),
    [
        # Fixed times mean the wall clock: once a day, whatever the clock does.
        ("30 1 * * *", AUTUMN, ["2026-11-01T01:30:00-04:00"]),
        ("30 2 * * *", SPRING, ["2026-03-08T03:00:00-04:00"]),
        ("0,30 2 * * *", SPRING, ["2026-03-08T03:00:00-04:00"]),
        ("15 2,3 * * *", SPRING, ["2026-03-08T03:00:00-04:00", "2026-03-08T03:15:00-04:00"]),
        ("0 1,2 * * *", AUTUMN, ["2026-11-01T01:00:00-04:00", "2026-11-01T02:00:00-05:00"]),
        # A star means elapsed time: what the clock does not show is not due, what it shows twice is due twice.
        ("30 * * * *", (SPRING[0], "2026-03-08T04:00:00-04:00"), [
            "2026-03-08T00:30:00-05:00", "2026-03-08T01:30:00-05:00", "2026-03-08T03:30:00-04:00",
        ]),
        ("30 * * * *", (AUTUMN[0], "2026-11-01T02:00:00-05:00"), [
            "2026-11-01T00:30:00-04:00", "2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00",
        ]),
        ("*/30 1 * * *", AUTUMN, [
            "2026-11-01T01:00:00-04:00", "2026-11-01T01:30:00-04:00",
            "2026-11-01T01:00:00-05:00", "2026-11-01T01:30:00-05:00",
        ]),
        ("*/30 2 * * *", SPRING, []),
    ],
)  # fmt: skip
def test_days_with_a_change_of_clocks(text, day, expected):
    assert fires(text, "America/New_York", *day) == expected


def test_seconds_follow_the_same_rules():
    autumn = fires("30 1 * * * 15,45", "America/New_York", *AUTUMN, SecondsField.LAST)
    assert autumn == ["2026-11-01T01:30:15-04:00", "2026-11-01T01:30:45-04:00"]
    spring = fires("15,45 30 2 * * *", "America/New_York", *SPRING, SecondsField.FIRST)
    assert spring == ["2026-03-08T03:00:00-04:00"]


def test_what_the_clock_shows_again_is_not_due_again():
    second_pass = micros("2026-11-01T01:10:00-05:00")
    due = read_cron("30 1 * * *").next(second_pass, ZoneInfo("America/New_York"))
    assert when(due, "America/New_York") == "2026-11-02T01:30:00-05:00"


def test_a_day_that_a_country_left_out():
    due = fires("0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00+00:00", "2012-01-31T00:00:00+00:00")
    assert due == ["2011-12-31T00:00:00+14:00"]


# --- the oracle: look at the clock every minute --------------------------------------------------------------------

ZONES = (
    "UTC", "America/New_York", "Europe/Vienna", "Australia/Lord_Howe", "Antarctica/Troll", "Asia/Kathmandu",
    "America/Sao_Paulo", "Asia/Beirut", "Africa/Casablanca", "Pacific/Apia", "America/Caracas",
)  # fmt: skip
DAYS = ("2011-12-29", "2015-10-17", "2016-04-30", "2018-11-03", "2026-03-07", "2026-03-28", "2026-04-04", "2026-10-31")


def field(low: int, high: int) -> st.SearchStrategy[tuple[str, frozenset[int]]]:
    """The text of a field, and the values it stands for."""
    every = frozenset(range(low, high + 1))
    value = st.integers(low, high)
    return st.one_of(
        st.just(("*", every)),
        value.map(lambda one: (str(one), frozenset({one}))),
        st.integers(2, 20).map(lambda step: (f"*/{step}", frozenset(range(low, high + 1, step)))),
        st.tuples(value, value).map(sorted).map(
            lambda ends: (f"{ends[0]}-{ends[1]}", frozenset(range(ends[0], ends[1] + 1)))
        ),
        st.sets(value, min_size=2, max_size=4).map(lambda some: (",".join(map(str, sorted(some))), frozenset(some))),
    )  # fmt: skip


@st.composite
def expressions(draw):
    minute, hour = draw(field(0, 59)), draw(field(0, 23))
    day = draw(st.one_of(st.just(("*", frozenset(range(1, 32)))), field(1, 31)))
    weekday = draw(st.one_of(st.just(("*", frozenset(range(7)))), field(0, 6)))
    return minute, hour, day, weekday


def matches(fields, shown: datetime) -> bool:
    (_, minutes), (_, hours), (day_text, days), (weekday_text, weekdays) = fields
    if shown.minute not in minutes or shown.hour not in hours:
        return False
    of_month, of_week = shown.day in days, shown.isoweekday() % 7 in weekdays
    both = day_text.startswith("*") or weekday_text.startswith("*")
    return (of_month and of_week) if both else (of_month or of_week)


@lru_cache
def clock(zone: str, day: str) -> list[datetime]:
    """What the clock of a zone shows every minute from two days before a day (UTC) to five days after."""
    first = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(days=2)
    known = ZoneInfo(zone)
    return [(first + timedelta(minutes=n)).astimezone(known).replace(tzinfo=None) for n in range(7 * 1440)]


def oracle(fields, zone: str, day: str, start: int, end: int) -> list[int]:
    """Due times after minute ``start`` and before minute ``end`` of a day, by looking at the clock every minute."""
    wall = not fields[0][0].startswith("*") and not fields[1][0].startswith("*")
    shown = clock(zone, day)
    seen, due = set(), []
    for number in range(1, 2 * 1440 + end):
        now, before = shown[number], shown[number - 1]
        is_due = matches(fields, now) and not (wall and now in seen)
        if wall:
            seen.add(now)
            skipped = range(1, (now - before) // timedelta(minutes=1))
            is_due |= any(matches(fields, before + timedelta(minutes=one)) for one in skipped)
        if is_due and number > 2 * 1440 + start:
            due.append(micros(day + "T00:00:00+00:00") + (number - 2 * 1440) * MINUTE)
    return due


@settings(max_examples=30)
@given(expressions(), st.sampled_from(ZONES), st.sampled_from(DAYS), st.integers(0, 1439))
@example(
    (("30", {30}), ("1", {1}), ("*", set(range(1, 32))), ("*", set(range(7)))), "America/New_York", "2026-10-31", 0
)
def test_due_times_are_those_the_clock_shows(fields, zone, day, minute):
    (m, _), (h, _), (d, _), (w, _) = fields
    cron, at, found = Cron(f"{m} {h} {d} * {w}"), micros(day + "T00:00:00+00:00") + minute * MINUTE, []
    until = at + 3 * 1440 * MINUTE
    while (due := cron.next(at, read_zone(zone))) is not None and due < until:
        found.append(due)
        at = due
    assert found == oracle(fields, zone, day, minute, minute + 3 * 1440)


@settings(max_examples=30)
@given(st.sampled_from(ZONES), st.integers(micros("1971-01-01T00:00:00+00:00"), micros("2090-01-01T00:00:00+00:00")))
def test_the_next_time_is_later_and_on_a_whole_second(zone, after):
    for text in ("* * * * *", "17 3 * * *", "0 0 29 2 *"):
        due = read_cron(text).next(after, read_zone(zone))
        assert due is not None
        assert due > after
        assert due % 1_000_000 == 0


# --- what may be written -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 0 L * *", "2026-01-31T00:00:00+00:00"),
        ("0 0 13 * 5", "2026-01-16T00:00:00+00:00"),
        ("5,10 0 * * mon-fri", "2026-01-16T00:05:00+00:00"),
        ("0 0 1 JAN,jul *", "2026-07-01T00:00:00+00:00"),
        ("0 0 * * 1#2", "2026-02-09T00:00:00+00:00"),
        ("0 0 * * 0", "2026-01-18T00:00:00+00:00"),
        ("0 0 * * 7", "2026-01-18T00:00:00+00:00"),
        ("*/90 * * * *", "2026-01-15T11:00:00+00:00"),
        ("0 0 29 2 *", "2028-02-29T00:00:00+00:00"),
        ("  * *   * * *  ", "2026-01-15T10:01:00+00:00"),
        ("* * * * * 45", "2026-01-15T10:00:45+00:00"),
        ("0 0 */2 * 1", "2026-01-17T00:00:00+00:00"),
        ("0 0 1-31 * 5", "2026-01-16T00:00:00+00:00"),
        ("0 0 * * SAT-sun", "2026-01-17T00:00:00+00:00"),
        ("0 0 * * 2,6-0", "2026-01-17T00:00:00+00:00"),
        ("0 0 * * mon-sun", "2026-01-16T00:00:00+00:00"),
        ("0 0 * * 1-0/3", "2026-01-18T00:00:00+00:00"),
        ("0 0 * * 5/2", "2026-01-16T00:00:00+00:00"),
        ("0 0 * * sat/1", "2026-01-17T00:00:00+00:00"),
        ("0 0 30 2 */2", "2026-02-01T00:00:00+00:00"),
        ("0 0 31 4 */2", "2026-04-02T00:00:00+00:00"),
    ],
)
def test_seconds_last_reads_as_croniter_did(text, expected):
    after = micros("2026-01-15T10:00:30+00:00")
    assert when(read_cron(text, SecondsField.LAST).next(after, ZoneInfo("UTC"))) == expected


@pytest.mark.parametrize(
    ("text", "seconds", "expected"),
    [
        ("40-40/2 10 15 1 *", SecondsField.NONE, ["2026-01-15T10:40:00+00:00"]),
        ("0 9-09/3 16-17 * *", SecondsField.FIRST, ["2026-01-16T09:00:00+00:00", "2026-01-17T09:00:00+00:00"]),
        ("0 0 20-20/7,16 jan-JAN/2 *", SecondsField.NONE, ["2026-01-16T00:00:00+00:00", "2026-01-20T00:00:00+00:00"]),
        ("0 0 * * mon-1/2", SecondsField.LAST, ["2026-01-19T00:00:00+00:00"]),
        ("0 0 * * tue/2", SecondsField.LAST, [
            "2026-01-15T00:00:00+00:00", "2026-01-17T00:00:00+00:00", "2026-01-20T00:00:00+00:00",
        ]),
        ("0 0 * * 3/4", SecondsField.NONE, ["2026-01-18T00:00:00+00:00", "2026-01-21T00:00:00+00:00"]),
        ("30-30/5 10 15 * *", SecondsField.LAST, ["2026-01-15T10:30:00+00:00"]),
        ("0 10 15 * * 7-7/20", SecondsField.LAST, ["2026-01-15T10:00:07+00:00"]),
    ],
)  # fmt: skip
def test_a_step_ends_with_its_range(text, seconds, expected):
    assert fires(text, "UTC", "2026-01-14T20:00:00+00:00", "2026-01-21T23:00:00+00:00", seconds) == expected


@pytest.mark.parametrize("text", ["0 0 * * 7/2", "0 0 L/2 * *", "0 0 LW/2 * *"])
def test_steps_that_seconds_last_does_not_know(text):
    with pytest.raises(ValueError, match=r"^has a bad day"):
        Cron(text, SecondsField.LAST)


def test_a_star_in_a_day_field_asks_for_both_days_as_cron_does():
    after = micros("2026-01-15T10:00:30+00:00")
    assert when(read_cron("0 0 */2 * 1").next(after, ZoneInfo("UTC"))) == "2026-01-19T00:00:00+00:00"


@pytest.mark.parametrize(
    "text",
    [
        "", "* * * *", "@hourly", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 13 *", "* * * * 8",
        "*/0 * * * *", "5-1 * * * *", "a * * * *", "* * * * 1#6", "* * * * * * *", "0 0 30 2 *", "-1 * * * *",
        "1,,2 * * * *", "* * ? * *", "٣ * * * *", "R * * * *", "1" * 300 + " * * * *", "* * * * *#1",
        "5-5/0 * * * *", "* * L-L/2 * *", "* * * * 1#mon", "* * * jan/feb *", "* * * mon *", "* * * * mon-mon/٣",
    ],
)  # fmt: skip
@pytest.mark.parametrize("seconds", SecondsField)
def test_nonsense_is_refused(text, seconds):
    with pytest.raises(ValueError, match=r"^(has|is) "):
        Cron(text, seconds)


def test_a_week_may_end_with_sunday():
    after = micros("2026-01-17T10:00:30+00:00")
    assert when(read_cron("0 0 * * fri-sun").next(after, ZoneInfo("UTC"))) == "2026-01-18T00:00:00+00:00"


def test_six_fields_need_to_be_asked_for():
    with pytest.raises(ValueError, match="has 6 fields, not 5"):
        Cron("0 * * * * *")


def test_what_never_comes_is_told_apart_from_what_is_wrong():
    # Read as croniter does, this would be a day of February or a Monday; as cron does, it is no day at all.
    assert read_cron("0 0 31 2 1#5").next(0, ZoneInfo("UTC")) is not None
    assert read_cron("0 0 * * *").next(micros("9999-12-31T23:00:00+00:00"), ZoneInfo("UTC")) is None


ALMOST = st.lists(st.text("0123456789*/-,#LW", min_size=1, max_size=6), min_size=5, max_size=6).map(" ".join)


@settings(max_examples=60)
@given(st.one_of(st.text(max_size=40), ALMOST))
def test_no_text_breaks_the_reader(text):
    for seconds in SecondsField:
        try:
            cron = Cron(text, seconds)
        except ValueError:
            continue
        due = cron.next(0, ZoneInfo("UTC"))
        assert due is None or due > 0


# --- zones ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Europe/Vienna", "UTC", "America/Argentina/Ushuaia", "Etc/GMT+5"])
def test_zones_are_known_by_their_names(name):
    assert read_zone(name).key == name


@pytest.mark.parametrize(
    "name", ["", "Mars/Olympus", "America", "../../etc/passwd", "/etc/localtime", "a" * 300, "x\0"]
)
def test_unknown_zones_are_refused(name):
    with pytest.raises(ValueError, match="is not the name of a time zone"):
        read_zone(name)
