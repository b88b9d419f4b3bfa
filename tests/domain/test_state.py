"""The state machine: the fold against a plain reading of its rules, and walks along the transition table."""

from collections import Counter
from itertools import combinations_with_replacement, product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from jobyard_server.domain.state import (
    SUBJOB_TRANSITIONS,
    TERMINAL,
    Actor,
    Control,
    Counters,
    Mode,
    State,
    fold,
    may_change,
)

OF_SUBJOBS = tuple(State)


def counted(states) -> Counters:
    """Counters by counting, not by moving."""
    return Counters(**{state.lower(): number for state, number in Counter(states).items()})


def plainly(mode: Mode, control: Control, states: tuple[State, ...]) -> State:  # noqa: PLR0911 - a line a rule
    """The rules read from the list of subjobs, without counters: slow and obvious."""
    live = [state for state in states if state not in TERMINAL]
    if control.finished_as:
        return control.finished_as
    if control.cancel_requested and live:
        return State.CANCELLING
    ended_by_themselves = mode is Mode.ONCE and len(states) > 0 and State.CANCELLED not in states
    if control.cancel_requested and not ended_by_themselves:
        return State.CANCELLED
    if mode is Mode.SCHEDULED:
        if control.suspended:
            return State.SUSPENDED
        return State.SUCCEEDED if control.exhausted and not live else State.RUNNING
    if mode is Mode.STANDING:
        return State.RUNNING if control.running_now > 0 else State.SUSPENDED
    return plainly_once(control, set(states), live)


def plainly_once(control: Control, kinds: set[State], live: list[State]) -> State:  # noqa: PLR0911 - a line a rule
    more_to_come = bool(live) or not control.split_complete
    if control.suspended and State.RUNNING not in kinds and more_to_come:
        return State.SUSPENDED
    if not kinds:
        return State.PENDING if more_to_come else State.SUCCEEDED
    if kinds <= {State.PENDING, State.SUSPENDED}:
        return State.PENDING
    if more_to_come:
        return State.RUNNING
    if len(kinds) == 1:
        return kinds.pop()
    if kinds == {State.SUCCEEDED, State.CANCELLED}:
        return State.CANCELLED
    return State.PARTIALLY_FAILED


CONTROLS = [
    Control(cancel, suspended, complete, exhausted, running, finished)
    for cancel, suspended, complete, exhausted, running, finished in product(
        (False, True), (False, True), (True, False), (False, True), (0, 1), (None, State.FAILED)
    )
]


@pytest.mark.parametrize("mode", Mode)
def test_fold_agrees_with_the_plain_reading_for_all_small_jobs(mode):
    for size in range(5):
        for states in combinations_with_replacement(OF_SUBJOBS, size):
            counters = counted(states)
            for control in CONTROLS:
                found, expected = fold(mode, control, counters), plainly(mode, control, states)
                assert found is expected, (mode, control, states)


@given(st.lists(st.sampled_from(OF_SUBJOBS), max_size=60), st.sampled_from(CONTROLS), st.sampled_from(Mode))
def test_fold_agrees_with_the_plain_reading_for_large_jobs(states, control, mode):
    assert fold(mode, control, counted(states)) is plainly(mode, control, tuple(states))


@given(st.lists(st.sampled_from(OF_SUBJOBS), min_size=1, max_size=20))
def test_a_complete_once_job_has_ended_exactly_when_all_its_subjobs_have(states):
    state = fold(Mode.ONCE, Control(), counted(states))
    assert state.terminal == all(one.terminal for one in states)


@given(st.lists(st.sampled_from(OF_SUBJOBS), max_size=20))
def test_no_job_succeeds_after_its_cancel_stopped_a_subjob(states):
    counters = counted([*states, State.CANCELLED])
    assert fold(Mode.ONCE, Control(cancel_requested=True), counters) in (State.CANCELLED, State.CANCELLING)


def test_counters_tell_live_from_ended():
    counters = counted(OF_SUBJOBS)
    assert (counters.live, counters.ended, counters.total) == (4, 4, 8)


@given(st.sampled_from(OF_SUBJOBS), st.sampled_from(OF_SUBJOBS), st.lists(st.sampled_from(OF_SUBJOBS), max_size=9))
def test_moved_counts_one_subjob_over(before, after, others):
    assert counted([before, *others]).moved(before, after) == counted([after, *others])


@given(st.sampled_from(OF_SUBJOBS), st.lists(st.sampled_from(OF_SUBJOBS), max_size=9))
def test_moved_counts_subjobs_that_come_and_go(state, others):
    assert counted(others).moved(None, state) == counted([state, *others])
    assert counted([state, *others]).moved(state, None) == counted(others)


def test_nobody_changes_what_the_table_does_not_name():
    named = {(before, after, actor) for (before, after), actors in SUBJOB_TRANSITIONS.items() for actor in actors}
    for before, after, actor in product(State, State, Actor):
        assert may_change(before, after, actor) == ((before, after, actor) in named)


def test_only_users_take_a_subjob_out_of_a_terminal_state():
    leaving = {actor for (before, _), actors in SUBJOB_TRANSITIONS.items() if before.terminal for actor in actors}
    assert leaving == {Actor.USER}


def test_what_was_cancelled_never_succeeds_without_running_again():
    ways = {after for before, after in SUBJOB_TRANSITIONS if before is State.CANCELLED}
    assert ways == {State.PENDING}


def test_every_state_is_reached_and_every_live_one_can_be_cancelled():
    reached, todo = {State.PENDING}, [State.PENDING]
    while todo:
        here = todo.pop()
        further = {after for before, after in SUBJOB_TRANSITIONS if before is here} - reached
        reached |= further
        todo += further
    assert reached == set(State)
    for state in set(State) - TERMINAL:
        ways = {State.CANCELLED, State.CANCELLING} & {a for b, a in SUBJOB_TRANSITIONS if b is state}
        assert ways, state


class Walk(RuleBasedStateMachine):
    """Subjobs that move along the table, in any order, and the job that follows by its counters alone."""

    def __init__(self) -> None:
        super().__init__()
        self.subjobs: list[State] = []
        self.counters = Counters()
        self.control = Control()

    @rule()
    def split(self):
        self.subjobs.append(State.PENDING)
        self.counters = self.counters.moved(None, State.PENDING)

    @rule(pick=st.integers(0, 50), way=st.sampled_from(sorted(SUBJOB_TRANSITIONS)))
    def move(self, pick, way):
        if not self.subjobs:
            return
        place, (before, after) = pick % len(self.subjobs), way
        if self.subjobs[place] is before:
            self.subjobs[place] = after
            self.counters = self.counters.moved(before, after)

    @rule(cancel=st.booleans(), suspended=st.booleans(), complete=st.booleans())
    def ask(self, cancel, suspended, complete):
        self.control = Control(cancel_requested=cancel, suspended=suspended, split_complete=complete)

    @invariant()
    def the_job_is_what_its_subjobs_are(self):
        assert self.counters == counted(self.subjobs)
        found = fold(Mode.ONCE, self.control, self.counters)
        assert found is plainly(Mode.ONCE, self.control, tuple(self.subjobs))


TestWalk = Walk.TestCase
