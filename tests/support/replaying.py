"""A small model of one job: its events, replayed, have to add up to what the job is at every step."""

from collections import Counter

from jobyard_server.domain.event import EventType
from jobyard_server.domain.state import Control, Counters, State, fold

ASKS = {
    EventType.CANCEL_REQUESTED: {"cancel_requested": True, "finished_as": None},
    EventType.SUSPEND_REQUESTED: {"suspended": True},
    EventType.RESUME_REQUESTED: {"suspended": False, "finished_as": None},
}
BEGINNINGS = frozenset({EventType.RETRY_REQUESTED, EventType.RESUME_REQUESTED})
GIVEN_UP = frozenset({EventType.CANCEL_REQUESTED, EventType.FINISH_REQUESTED})


class Replay:
    """What the events of a job say, one after the other."""

    def __init__(self, mode, pieces):
        self.mode = mode
        self.subjobs = dict.fromkeys(range(pieces), State.PENDING)
        self.asked = {}
        self.state = State.PENDING
        self.ends = 0
        self.beginnings = 0
        self.given_up = 0
        self.sequence = 0

    def folded(self):
        counts = Counter(self.subjobs.values())
        return fold(self.mode, Control(**self.asked), Counters(*(counts[state] for state in State)))

    def see(self, event, following):
        self.sequence += 1
        assert event.job_seq == self.sequence
        if event.type is EventType.RETRY_REQUESTED and self.state.terminal:
            self.asked = {}
        self.asked |= ASKS.get(event.type, {})
        if event.type is EventType.FINISH_REQUESTED:
            # How it ended is told by what follows; an end that was reached already is not told again.
            self.asked |= {"finished_as": _end_of(following) or self.state}
        self.beginnings += event.type in BEGINNINGS
        # A FAILED job that may be resumed has not ended for good: it may be given up, or ended another way.
        self.given_up += event.type in GIVEN_UP and self.state is State.FAILED
        if event.subjob is not None:
            self._move(event)
        if event.type is EventType.JOB_CHANGED:
            assert event.state is not self.state, event
            assert event.state is self.folded(), (event, self.asked, Counter(self.subjobs.values()))
            self.state = event.state
            self.ends += event.state.terminal
            # One end, and another one only after somebody asked for more.
            assert self.ends <= 1 + self.beginnings + self.given_up
        else:
            assert event.state is self.state, event

    def _move(self, event):
        if event.type is EventType.ATTEMPT_STARTED:
            assert not self.asked.get("cancel_requested"), "handed out after the cancel was acknowledged"
            assert not self.asked.get("suspended"), "handed out while it was held back"
            assert self.subjobs[event.subjob] is State.PENDING
        if event.subjob_state is State.SUCCEEDED:
            assert self.subjobs[event.subjob] in {State.RUNNING, State.CANCELLING}
        self.subjobs[event.subjob] = event.subjob_state


def _end_of(events):
    return next((event.state for event in events if event.type is EventType.JOB_CHANGED), None)


def replay(job, pieces, events):
    """Replay all events of a job; returns the model when it adds up to the job."""
    model = Replay(job.mode, pieces)
    for place, event in enumerate(events):
        model.see(event, events[place + 1 :])
    counts = Counter(model.subjobs.values())
    assert job.counters == Counters(*(counts[state] for state in State))
    assert job.state is model.state is model.folded()
    assert job.last_event == model.sequence
    return model
