"""When jobs are due, at their creation and after a change."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from jobyard_server.apis.qinling.planning import Wish, planned, replanned
from jobyard_server.domain.reason import Refused
from jobyard_server.domain.schedule import CatchUp, Overlap, Progress
from jobyard_server.usecases.ports import KeptSchedule


def at(text):
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


NOW = at("2026-01-15T10:00:30")


def kept(pattern=None, first=None, count=None):
    draft = planned(pattern, first, count, NOW)
    return KeptSchedule(1, draft.schedule, Progress(draft.next_due, draft.remaining), 1, None, None)


def refusal(call):
    with pytest.raises(Refused) as refused:
        call()
    return refused.value.refusal.violations[0].description


@pytest.mark.parametrize(
    ("pattern", "first", "due"),
    [
        ("* * * * *", None, "2026-01-15T10:01:00"),
        ("* * * * * */10", None, "2026-01-15T10:00:40"),
        ("0 21 * * *", "2026-01-16T21:00:00Z", "2026-01-16T21:00:00"),
        ("0 21 * * *", "2026-01-16T21:00:30Z", "2026-01-16T21:00:00"),
        ("0 21 * * *", "2026-01-16T21:01:00Z", "2026-01-17T21:00:00"),
        (None, "2026-01-15T10:01:30Z", "2026-01-15T10:01:30"),
        ("*/90 * * * *", None, "2026-01-15T11:00:00"),
        ("0 0 29 2 *", None, "2028-02-29T00:00:00"),
    ],
)
def test_the_first_time_of_a_job(pattern, first, due):
    assert planned(pattern, first, None, NOW).next_due == at(due)


def test_a_job_overlaps_itself_and_makes_up_for_the_newest_time():
    for draft in (planned("* * * * *", None, 4, NOW), planned(None, "2099", 1, NOW)):
        assert (draft.schedule.overlap, draft.schedule.catch_up) == (Overlap.ALLOW, CatchUp.NEWEST)
    assert planned(None, "2099", None, NOW).remaining == planned(None, "2099", 0, NOW).remaining == 1
    assert planned("* * * * *", None, None, NOW).remaining is None


@pytest.mark.parametrize(
    ("pattern", "first", "count", "words"),
    [
        (None, None, 2, "pattern or first_execution_time must be specified."),
        ("", "", None, "pattern or first_execution_time must be specified."),
        ("* * * * *", None, 0, "count must be at least 1."),
        ("* * * * *", None, -1, "count must be at least 1."),
        (None, "2099", -1, "count must be at least 1."),
        (None, "2099", 2, "pattern must be provided if count is greater than 1."),
        ("@hourly", None, None, "The specified pattern is not valid: @hourly"),
        ("1 2 3 4 5 6 7", None, None, "The specified pattern is not valid: 1 2 3 4 5 6 7"),
        ("0 0 30 2 *", None, None, "The specified pattern is not valid: 0 0 30 2 *"),
        ("* * * * *", "2026-01-15T10:01:29Z", None, "Execution time must be at least 1 minute in the future."),
    ],
)
def test_what_no_job_can_be_made_of(pattern, first, count, words):
    assert refusal(lambda: planned(pattern, first, count, NOW)) == words


def test_a_resumed_job_follows_the_new_pattern_from_now():
    before = kept("0 * * * *")
    after = replanned(before, Wish("running", "*/5 * * * *"), NOW, paused=True)
    assert (after.schedule.cron, after.progress.next_due) == ("*/5 * * * *", at("2026-01-15T10:05:00"))


def test_a_new_pattern_alone_leaves_the_next_time():
    after = replanned(kept("0 * * * *"), Wish(pattern="*/5 * * * *"), NOW, paused=False)
    assert (after.schedule.cron, after.progress.next_due) == ("*/5 * * * *", at("2026-01-15T11:00:00"))


def test_a_next_time_need_not_fit_the_pattern():
    after = replanned(kept("0 * * * *"), Wish(next_time="2026-01-15 10:07:07"), NOW, paused=False)
    assert after.progress.next_due == at("2026-01-15T10:07:07")
    once = replanned(kept(first="2099"), Wish(next_time="2098"), NOW, paused=False)
    assert once.schedule.at == once.progress.next_due == at("2098-01-15T00:00:00")


@pytest.mark.parametrize(
    ("job", "wish", "words"),
    [
        ({"first": "2099"}, Wish(pattern="* * * * *"), "Can not change job type."),
        ({"pattern": "* * * * *"}, Wish(pattern=""), "Can not change job type."),
        ({"pattern": "* * * * *"}, Wish(pattern="5 * * *"), "The specified pattern is not valid: 5 * * *"),
        ({"pattern": "* * * * *"}, Wish("done"), "Invalid status."),
        ({"pattern": "* * * * *"}, Wish("canceled"), "Invalid status."),
        ({"pattern": "* * * * *"}, Wish(""), "Invalid status."),
        (
            {"pattern": "* * * * *"},
            Wish(next_time="2026-01-15T10:01:00"),
            "Execution time must be at least 1 minute in the future.",
        ),
    ],
)
def test_changes_that_are_refused(job, wish, words):
    assert refusal(lambda: replanned(kept(**job), wish, NOW, paused=False)) == words


def test_a_single_time_that_was_missed_while_paused_needs_another():
    once = kept(first="2026-01-15T10:01:30Z")
    assert "at least 1 minute" in refusal(lambda: replanned(once, Wish("running"), NOW + 1, paused=True))
    again = replanned(once, Wish("running", next_time="2099"), NOW + 1, paused=True)
    assert again.progress.next_due == at("2099-01-15T00:00:00")


def test_the_empty_pattern_of_a_job_without_one_changes_nothing():
    once = kept(first="2099")
    assert replanned(once, Wish(pattern=""), NOW, paused=False).schedule == replace(once.schedule)
