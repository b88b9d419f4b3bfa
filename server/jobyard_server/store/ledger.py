"""The books of a transaction: jobs whose subjobs move, the states folded from them, and the events that tell it.

Every verb that changes a state goes through here. It loads the hot part of the jobs it concerns,
moves subjobs, folds each job once, and writes all rows set by set. A change of a job's state is
told by one ``JOB_CHANGED``; the other events name the state the job had when they happened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from jobyard_server.domain.event import EventType
from jobyard_server.domain.state import Mode, State, fold
from jobyard_server.store.leases import JOBS_OF
from jobyard_server.store.rows import control_of, counters_of
from jobyard_server.store.standings import move
from jobyard_server.store.words import word

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jobyard_server.domain.job import Micros
    from jobyard_server.store.unit import Unit

_FACTS: Final = (
    "number",
    "uid",
    "api",
    "tenant",
    "mode",
    "cancel_requested",
    "suspended",
    "split_complete",
    "exhausted",
    "finished_as",
    "generation",
    "resumable",
    "retry",
    "limits",
    "on_lease_loss",
    "expires_after",
    "parent",
)
CHANGING: Final = (
    "state",
    "state_word",
    "reason",
    "message",
    "running_now",
    "n_pending",
    "n_running",
    "n_suspended",
    "n_cancelling",
    "n_succeeded",
    "n_failed",
    "n_partially_failed",
    "n_cancelled",
    "revision",
    "updated_at",
    "started_at",
    "finished_at",
    "expires_at",
    "last_event",
)
HOT_COLUMNS: Final = _FACTS + CHANGING
"""What the ledger needs of a job row; the fields of :class:`Entry` in their order."""

_LOAD: Final = (
    f"SELECT {', '.join('jobs.' + name for name in HOT_COLUMNS)} "
    "FROM given CROSS JOIN jobs WHERE jobs.number = given.number ORDER BY jobs.number"
)
_LOAD_OF: Final = (
    f"SELECT {', '.join('jobs.' + name for name in HOT_COLUMNS)} "
    f"FROM jobs WHERE jobs.number IN ({JOBS_OF}) ORDER BY jobs.number"
)


@dataclass(slots=True)
class Entry:
    """The hot part of a job row, while it changes."""

    number: int
    uid: str
    api: str
    tenant: str
    mode: str
    cancel_requested: bool
    suspended: bool
    split_complete: bool
    exhausted: bool
    finished_as: str | None
    generation: int
    resumable: bool
    retry: str
    limits: str
    on_lease_loss: str
    expires_after: Micros | None
    parent: int | None
    state: str
    state_word: str
    reason: str
    message: str
    running_now: int
    n_pending: int
    n_running: int
    n_suspended: int
    n_cancelling: int
    n_succeeded: int
    n_failed: int
    n_partially_failed: int
    n_cancelled: int
    revision: int
    updated_at: Micros
    started_at: Micros | None
    finished_at: Micros | None
    expires_at: Micros | None
    last_event: int
    touched: bool = False
    """Whether anything happened to it in this transaction."""
    stood: bool = field(init=False)
    """Whether it was looked for by where it stood: its schedule waited for it, or it was to be removed some day."""

    def __post_init__(self) -> None:
        self.stood = self.expires_at is not None or (self.parent is not None and self.finished_at is None)

    def folded(self) -> State:
        """The state that control and counters add up to."""
        control = control_of(
            self.cancel_requested,
            self.suspended,
            self.split_complete,
            self.exhausted,
            self.running_now,
            self.finished_as,
        )
        counters = counters_of(
            self.n_pending,
            self.n_running,
            self.n_suspended,
            self.n_cancelling,
            self.n_succeeded,
            self.n_failed,
            self.n_partially_failed,
            self.n_cancelled,
        )
        return fold(_MODES[self.mode], control, counters)

    def lacks_reason(self) -> bool:
        """Whether nothing says yet why it ends badly; that it was held back is no reason for that."""
        return not self.reason or (self.suspended and not self.cancel_requested and self.folded().terminal)

    def changing(self) -> tuple[object, ...]:
        """The values of :data:`CHANGING`."""
        return (
            self.state,
            self.state_word,
            self.reason,
            self.message,
            self.running_now,
            self.n_pending,
            self.n_running,
            self.n_suspended,
            self.n_cancelling,
            self.n_succeeded,
            self.n_failed,
            self.n_partially_failed,
            self.n_cancelled,
            self.revision,
            self.updated_at,
            self.started_at,
            self.finished_at,
            self.expires_at,
            self.last_event,
        )


class Ledger:
    """The jobs of a transaction and what happens to them."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._events: list[tuple[object, ...]] = []
        self.entries: dict[int, Entry] = {}
        self.ended: list[int] = []
        """Jobs that came to an end, in their order."""

    def load(self, numbers: Iterable[int]) -> None:
        """Read the hot part of jobs, in the order of their numbers."""
        wanted = sorted(set(numbers) - self.entries.keys())
        self._load(("number",), [(number,) for number in wanted], _LOAD)

    def load_of(self, subjobs: Iterable[int]) -> None:
        """The same of the jobs of subjobs, where others write beside; before anything of the subjobs is read."""
        if self._unit.sets.dialect.concurrent:
            self._load(("subjob",), [(subjob,) for subjob in sorted(set(subjobs))], _LOAD_OF)

    def _load(self, names: tuple[str, ...], rows: list[tuple[int]], sql: str) -> None:
        sets = self._unit.sets
        found = sets.among(names, rows, sets.dialect.locking(sql, "jobs"))
        self.entries.update((row[0], Entry(*row)) for row in found)

    def add(self, entry: Entry, state: State) -> None:
        """Count a subjob that a job did not have before."""
        entry.touched = True
        setattr(entry, _COUNTER[state], getattr(entry, _COUNTER[state]) + 1)

    def move(self, entry: Entry, before: State, after: State, *, current: bool = False) -> None:
        """Count a subjob over from one state to another.

        ``current``: it runs, or ran, the current generation of its job.
        """
        if before is after:
            return
        entry.touched = True
        setattr(entry, _COUNTER[before], getattr(entry, _COUNTER[before]) - 1)
        setattr(entry, _COUNTER[after], getattr(entry, _COUNTER[after]) + 1)
        if current and entry.mode == Mode.STANDING:
            entry.running_now += (after is State.RUNNING) - (before is State.RUNNING)

    def regenerate(self, entry: Entry, before: int, after: int) -> None:
        """Count a running subjob over from one generation of its job to another."""
        entry.touched = True
        if entry.mode == Mode.STANDING:
            entry.running_now += (after == entry.generation) - (before == entry.generation)

    def tell(
        self,
        entry: Entry,
        type_: EventType,
        *,
        subjob: int | None = None,
        subjob_state: State | None = None,
        attempt: int | None = None,
        reason: str = "",
        message: str = "",
        actor: str = "",
        request_id: str = "",
    ) -> None:
        """Append an event to a job."""
        entry.touched = True
        entry.last_event += 1
        self._events.append(
            (
                entry.number,
                entry.uid,
                entry.last_event,
                entry.api,
                entry.tenant,
                type_,
                entry.state,
                subjob,
                subjob_state,
                attempt,
                reason,
                message,
                actor,
                request_id,
                self._unit.now,
            )
        )

    def fold(self, entry: Entry, *, actor: str = "", request_id: str = "") -> None:
        """Give a job the state that its subjobs add up to, and tell it when it is another one."""
        state = entry.folded()
        if state == entry.state:
            return
        now = self._unit.now
        if state is State.SUCCEEDED and entry.finished_as is None and (entry.cancel_requested or entry.suspended):
            # It was done before it could be cancelled or held back.
            entry.reason = entry.message = ""
        entry.state = state
        entry.state_word = word(self._unit.words, entry.api, state, entry.reason)
        if state is State.RUNNING and entry.started_at is None:
            entry.started_at = now
        if state.terminal:
            self.ended.append(entry.number)
            entry.finished_at = now
            entry.expires_at = self._unit.keep.until(entry.api, now, entry.expires_after)
        else:
            entry.finished_at = entry.expires_at = None
        self.tell(
            entry,
            EventType.JOB_CHANGED,
            reason=entry.reason,
            message=entry.message,
            actor=actor,
            request_id=request_id,
        )

    def close(self) -> None:
        """Write the jobs that changed, and their events."""
        touched = [entry for _, entry in sorted(self.entries.items()) if entry.touched]
        for entry in touched:
            entry.revision += 1
            entry.updated_at = self._unit.now
        changed = [(entry.number, *entry.changing()) for entry in touched]
        self._unit.sets.update("jobs", ("number",), CHANGING, changed)
        move(self._unit, touched)
        self._unit.tell(self._events)


_MODES: Final = {mode.value: mode for mode in Mode}
_COUNTER: Final = {state: f"n_{state.lower()}" for state in State}
