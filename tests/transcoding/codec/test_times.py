"""Times are remembered by the hour, within bounds, and never wrongly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobyard_server.transcoding.codec import times

FIRST = datetime(1, 1, 1, tzinfo=UTC)
LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_more_hours_than_are_remembered():
    start = datetime(1969, 12, 1, tzinfo=UTC)
    for hour in range(2 * times.MOST_HOURS + 5):
        moment = start + timedelta(hours=hour, seconds=hour % 3600)
        text = moment.isoformat()[:19] + "Z"
        assert times.time_text(int(moment.timestamp()), 0) == text
        assert times.parse_time(text) == (int(moment.timestamp()), 0)
    assert len(times._hour_texts) <= times.MOST_HOURS
    assert len(times._hour_seconds) <= times.MOST_HOURS


@pytest.mark.parametrize("moment", [FIRST, LAST, datetime(1970, 1, 1, tzinfo=UTC), datetime(2024, 2, 29, tzinfo=UTC)])
@pytest.mark.parametrize("nanos", [0, 1, 999, 1_000, 120_000_000, 999_999_999])
def test_the_ends_of_time(moment, nanos):
    seconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    assert times.parse_time(times.time_text(seconds, nanos)) == (seconds, nanos)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-01-15T11:00:30+01:00", "2026-01-15T10:00:30Z"),
        ("2026-01-15T11:00:30.5-05:30", "2026-01-15T16:30:30.500Z"),
        ("2026-01-01T00:00:00+23:59", "2025-12-31T00:01:00Z"),
        ("2026-01-15T11:00:30.000000000Z", "2026-01-15T11:00:30Z"),
    ],
)
def test_offsets(text, utc):
    assert times.time_text(*times.parse_time(text)) == utc


@pytest.mark.parametrize("second", [times.FIRST_SECOND - 1, times.LAST_SECOND + 1, 1 << 62, -(1 << 62)])
def test_beyond_the_ends_of_time(second):
    with pytest.raises(times.CodecError):
        times.time_text(second, 0)
