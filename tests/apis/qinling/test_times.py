"""Times in almost any form, and the rule of a minute ahead."""

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobyard_server.apis.qinling.times import MINUTE, changed_at, future_time, read_time, timestamp
from jobyard_server.domain.reason import Refused

NOW = round(datetime(2026, 1, 15, 10, 0, 30, tzinfo=UTC).timestamp()) * 1_000_000


def shown(micros):
    return datetime.fromtimestamp(micros / 1_000_000, UTC).isoformat()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-15T11:00:30Z", "2026-01-15T11:00:30+00:00"),
        ("2026-01-15 11:00:30.123456", "2026-01-15T11:00:30.123456+00:00"),
        ("2026-01-15", "2026-01-15T00:00:00+00:00"),
        ("Jan 5 2099 10:00", "2099-01-05T10:00:00+00:00"),
        ("2099", "2099-01-15T00:00:00+00:00"),
        ("2026-01-15T12:00:00+09:00", "2026-01-15T03:00:00+00:00"),
        ("2026-01-15 12:00 UTC", "2026-01-15T12:00:00+00:00"),
        ("12:30", "2026-01-15T12:30:00+00:00"),
    ],
)
def test_a_time_is_read_in_many_forms(text, expected):
    assert shown(read_time(text, "t", NOW)) == expected


@pytest.mark.parametrize("text", ["not-a-date", "", " ", "99999-01-01", "9" * 300, "2026-13-40", "12:00 EST", "\0"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(Refused) as refused:
        read_time(text, "t", NOW)
    assert refused.value.refusal.violations[0].field == "t"


@pytest.mark.parametrize("zone", ["UTC+3", " GMT-3", "Z+03", " utc +3"])
def test_an_offset_beside_a_name_is_refused(zone):
    with pytest.raises(Refused, match="Write the offset alone"):
        read_time(f"2026-01-15T12:00:00{zone}", "t", NOW)


@given(st.text(max_size=60))
def test_any_text_is_a_time_or_refused(text):
    with contextlib.suppress(Refused):
        assert isinstance(read_time(text, "t", NOW), int)


def test_a_minute_ahead_is_far_enough():
    assert future_time("2026-01-15T10:01:30Z", "t", NOW) == NOW + MINUTE
    with pytest.raises(Refused, match="at least 1 minute"):
        future_time("2026-01-15T10:01:29.999999Z", "t", NOW)


def test_what_never_changed_has_no_time_of_change():
    assert changed_at(NOW, changed=False) is None
    assert changed_at(NOW, changed=True) == timestamp(NOW)
