"""What becomes of due times, against brute force: every overlap policy, every catch-up policy, in any rhythm."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobyard_server.domain.firing import STEP, Clear, Fate, Plan, plan
from jobyard_server.domain.schedule import (
    MAX_WAITING,
    CatchUp,
    Overlap,
    Progress,
    Schedule,
    made_at,
    waits,
    wake_at,
)

SECOND = 1_000_000
MINUTE = 60 * SECOND
START = int(datetime(2026, 1, 15, 10, tzinfo=UTC).timestamp()) * SECOND
EVERY_MINUTE = "* * * * *"


def minute(number: int) -> int:
    return START + number * MINUTE


# --- overlap: jobs of any length, a schedule looked at every second ------------------------------------------------


class World:
    """Jobs that take so long, and a schedule that makes them."""

    def __init__(self, overlap: Overlap, lengths: list[int], grace: int) -> None:
        self.schedule = Schedule(cron=EVERY_MINUTE, overlap=overlap, catch_up=CatchUp.ALL)
        self.progress = Progress(minute(1))
        self.lengths = iter(lengths)
        self.grace = grace
        self.jobs: list[list[int]] = []  # [due, begin, end] in seconds since the start

    def look(self, now: int) -> None:
        """What the engine does at a second."""
        live = [job for job in self.jobs if job[2] > now]
        instant = START + now * SECOND
        by_clock = (wake := wake_at(self.schedule, self.progress, "")) is not None and wake <= instant
        if not by_clock and not (waits(self.schedule, self.progress) and not live):
            return
        made = plan(self.schedule, self.progress, instant, live=bool(live), key="")
        for job in live:
            if made.clear is Clear.CANCEL:
                job[2] = min(job[2], now + self.grace)
            elif made.clear is Clear.TERMINATE:
                job[2] = now
        for due in made.fires:
            self.jobs.append([(due - START) // SECOND, now, now + next(self.lengths)])
        self.progress = made.after


def oracle(overlap: Overlap, lengths: list[int], grace: int, dues: list[int], until: int) -> list[list[int]]:
    """The same told as a story: walk through the seconds, look who runs, decide for one due time."""
    jobs: list[list[int]] = []
    waiting: list[int] = []
    lengths_left = list(lengths)

    def begin(due: int, now: int) -> None:
        jobs.append([due, now, now + lengths_left.pop(0)])

    for now in range(until + 1):
        if now in dues and overlap is Overlap.CANCEL_OTHER:
            waiting = []
        if waiting and not any(job[2] > now for job in jobs):
            begin(waiting.pop(0), now)
        if now not in dues:
            continue
        running = [job for job in jobs if job[2] > now]
        if not running or overlap is Overlap.ALLOW:
            begin(now, now)
        elif overlap is Overlap.BUFFER_ALL or (overlap is Overlap.BUFFER_ONE and not waiting):
            waiting.append(now)
        elif overlap is Overlap.CANCEL_OTHER:
            running[0][2] = min(running[0][2], now + grace)
            waiting = [now]
        elif overlap is Overlap.TERMINATE_OTHER:
            running[0][2] = now
            begin(now, now)
    return jobs


@pytest.mark.parametrize("overlap", Overlap)
@settings(deadline=None, max_examples=40)
@given(lengths=st.lists(st.integers(1, 250), min_size=31, max_size=31), grace=st.integers(1, 100))
def test_each_overlap_policy_makes_the_jobs_of_its_story(overlap, lengths, grace):
    world, until = World(overlap, lengths, grace), 30 * 60
    for now in range(until + 1):
        world.look(now)
    assert world.jobs == oracle(overlap, lengths, grace, list(range(60, until + 1, 60)), until)


# --- catch-up: looked at in any rhythm, every job ends at once -----------------------------------------------------


def counted(catch_up: CatchUp, window: float | None, due: list[int], now: int) -> list[int]:
    """Which of the times that passed between two looks still count."""
    if window is not None:
        due = [one for one in due if one >= now - window * SECOND]
    on_time = [one for one in due if one >= now - MINUTE]
    if catch_up is CatchUp.ALL:
        return due
    if catch_up is CatchUp.NEWEST:
        return on_time or due[-1:]
    return on_time


@given(
    gaps=st.lists(st.integers(1, 40 * 60), min_size=1, max_size=12),
    catch_up=st.sampled_from(CatchUp),
    window=st.one_of(st.none(), st.integers(10, 3600)),
    cron=st.sampled_from([(EVERY_MINUTE, 1), ("*/5 * * * *", 5)]),
)
def test_each_catch_up_policy_makes_the_jobs_it_promises(gaps, catch_up, window, cron):
    text, step = cron
    schedule = Schedule(cron=text, overlap=Overlap.ALLOW, catch_up=catch_up, catch_up_window=window)
    progress, before = Progress(minute(step)), START
    for gap in gaps:
        now = before + gap * SECOND
        passed = [one for one in range(START, now + 1, step * MINUTE) if one > before]
        made = plan(schedule, progress, now, live=False, key="")
        assert list(made.fires) == counted(catch_up, window, passed, now)
        progress, before = made.after, now


# --- anything at all -----------------------------------------------------------------------------------------------


@given(
    looks=st.lists(st.tuples(st.integers(1, 900), st.booleans()), min_size=1, max_size=40),
    overlap=st.sampled_from(Overlap),
    catch_up=st.sampled_from(CatchUp),
    window=st.one_of(st.none(), st.integers(30, 1800)),
    jitter=st.sampled_from([0.0, 10.0, 500.0]),
    remaining=st.one_of(st.none(), st.integers(1, 20)),
    backfill=st.integers(0, 5),
)
def test_every_due_time_has_one_fate(looks, overlap, catch_up, window, jitter, remaining, backfill):
    schedule = Schedule(
        cron=EVERY_MINUTE, overlap=overlap, catch_up=catch_up, catch_up_window=window, jitter=jitter
    )  # fmt: skip
    asked = tuple(minute(-number) for number in range(backfill, 0, -1))
    progress, now = Progress(minute(1), remaining, backfill=asked), START
    fates: dict[int, Fate] = {}

    def note(due: int, fate: Fate) -> None:
        assert due not in fates
        fates[due] = fate

    for seconds, live in looks:
        now += seconds * SECOND
        made = plan(schedule, progress, now, live=live, key="k")
        for due in made.fires:
            assert due in asked or made_at(schedule, due, "k") <= now
            note(due, Fate.MADE)
        for passed in made.passed:
            for due in range(passed.first, passed.until + 1, MINUTE):
                if passed.fate is Fate.MISSED or due not in fates:
                    note(due, passed.fate)
        _check_overlap(overlap, made, live=live)
        progress = made.after
        if progress.over:
            break
    made_in_all = sum(fate is Fate.MADE for fate in fates.values())
    assert progress.remaining == (None if remaining is None else remaining - made_in_all)
    if progress.remaining == 0:
        assert progress.over
    elif progress.next_due is not None:
        known = {*fates, *progress.buffer}
        assert all(due in known for due in range(minute(1), progress.next_due, MINUTE))
        assert {*progress.backfill} | {*asked} & {*fates} == {*asked}


def _check_overlap(overlap: Overlap, made: Plan, *, live: bool) -> None:
    if overlap is not Overlap.ALLOW:
        assert len(made.fires) <= 1
        assert not (live and made.fires and made.clear is not Clear.TERMINATE)
    assert (made.clear is Clear.NOTHING) or live


def test_many_times_that_passed_are_dealt_with_in_steps():
    schedule = Schedule(cron=EVERY_MINUTE, overlap=Overlap.ALLOW, catch_up=CatchUp.ALL)
    progress, fires, steps = Progress(minute(1)), [], 0
    while wake_at(schedule, progress, "") <= minute(250):
        made = plan(schedule, progress, minute(250), live=False, key="")
        assert len(made.fires) <= STEP
        fires += made.fires
        progress, steps = made.after, steps + 1
    assert fires == [minute(number) for number in range(1, 251)]
    assert steps == 3


def test_the_buffer_is_bounded_and_says_what_it_drops():
    schedule = Schedule(cron=EVERY_MINUTE, overlap=Overlap.BUFFER_ALL, catch_up=CatchUp.ALL)
    full = Progress(minute(3), buffer=tuple(range(MAX_WAITING)))
    made = plan(schedule, full, minute(4), live=True, key="")
    assert made.after.buffer == full.buffer
    assert [(one.first, one.until, one.fate) for one in made.passed] == [(minute(3), minute(4), Fate.SKIPPED)]


def test_a_policy_that_lets_jobs_overlap_empties_the_buffer_of_the_one_before():
    schedule = Schedule(cron=EVERY_MINUTE, overlap=Overlap.ALLOW)
    made = plan(schedule, Progress(minute(9), buffer=(1, 2), backfill=(3,)), minute(8), live=True, key="")
    assert made.fires == (1, 2, 3)
    assert made.after == Progress(minute(9))


def test_nothing_happens_before_the_time():
    before = Progress(minute(5), remaining=2)
    assert plan(Schedule(cron=EVERY_MINUTE), before, minute(5) - 1, live=False, key="") == Plan(
        (), (), Clear.NOTHING, before
    )


def test_the_last_job_ends_the_schedule():
    made = plan(Schedule(at=minute(1)), Progress(minute(1)), minute(1), live=False, key="")
    assert made.fires == (minute(1),)
    assert made.after.over


def test_jobs_that_would_end_each_other_are_not_made_to_catch_up():
    for overlap in (Overlap.CANCEL_OTHER, Overlap.TERMINATE_OTHER):
        schedule = Schedule(cron=EVERY_MINUTE, overlap=overlap, catch_up=CatchUp.ALL)
        made = plan(schedule, Progress(minute(1)), minute(200) + 1, live=False, key="")
        assert made.fires == (minute(200),)
        assert made.passed[0].fate is Fate.MISSED
