"""A transaction as the use cases see it: jobs and their pieces, changed one by one and written together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from jobyard_server.domain.event import EventType
from jobyard_server.domain.reason import Reason, Refusal, Refused, refuse
from jobyard_server.domain.state import Actor, State, may_change
from jobyard_server.store import rows
from jobyard_server.store.changing import apply, changed, said_of
from jobyard_server.store.hearing import heard
from jobyard_server.store.importing import import_job
from jobyard_server.store.leases import lease_of
from jobyard_server.store.ledger import Ledger
from jobyard_server.store.query import job_statements
from jobyard_server.store.removing import remove_job
from jobyard_server.store.rows import kept
from jobyard_server.store.submit import submit
from jobyard_server.store.transaction_catalog import CatalogTransaction
from jobyard_server.store.transaction_deliveries import DeliveryTransaction
from jobyard_server.store.transaction_schedules import ScheduleTransaction
from jobyard_server.usecases.ports import HeldSubjob

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobyard_server.domain.job import Attribute, Job, Micros, NewJob, NewSubjob, Subjob, TimeLimits
    from jobyard_server.domain.state import Control
    from jobyard_server.store.ledger import Entry
    from jobyard_server.store.unit import Unit
    from jobyard_server.usecases.ports import ImportedJob, JobQuery, Submitted

_SUBJOBS: Final = f"SELECT {', '.join(rows.SUBJOB_COLUMNS)} FROM subjobs WHERE job = ? ORDER BY ordinal"
_MOVED: Final = (
    *("state", "reason", "message", "result", "generation", "attempts", "wake_at", "updated_at", "finished_at"),
    *("limit_at", "silence_at", "total_at"),
)
_HELD: Final = frozenset({State.RUNNING, State.CANCELLING})
_IS_HELD: Final = "SELECT 1 FROM attempts WHERE subjob = ? AND number = ? AND outcome = 'OPEN'"
_FENCE: Final = (
    "UPDATE attempts SET outcome = 'FENCED', reason = ?, message = ?, ended_at = ? "
    "WHERE subjob = ? AND number = ? AND outcome = 'OPEN'"
)
_WHOLE_JOB_ROW: Final = f"SELECT {', '.join(rows.NEW_JOB_COLUMNS)} FROM jobs WHERE number = ?"
_JOB_ROW: Final = f"SELECT {', '.join(rows.JOB_COLUMNS)} FROM jobs WHERE number = ?"


class Transaction(CatalogTransaction, DeliveryTransaction, ScheduleTransaction):
    """Changes of subjobs are gathered in a ledger, and written when a job is folded, read again, or at the end."""

    def __init__(self, unit: Unit) -> None:
        super().__init__(unit)
        self._ledger = Ledger(unit)
        self._moved: dict[int, tuple[Any, ...]] = {}
        self._unfolded: set[int] = set()
        self._ended: list[int] = []
        self._resumed: set[int] = set()

    @property
    def now(self) -> Micros:
        """The time of the transaction."""
        return self._unit.now

    def new_uid(self) -> str:
        """A fresh time-ordered identifier."""
        return self._unit.new_uid()

    def finish(self) -> None:
        """Fold what was left unfolded, and write what was gathered; called once the closure has returned."""
        for number in sorted(self._unfolded):
            self._fold(number)
        self._flush()
        for followers, numbers in ((self._unit.ended, self._ended), (self._unit.resumed, sorted(self._resumed))):
            for number in numbers:
                job = self.job(number, api=None, tenant=None)
                if job is not None:
                    followers[job.api](self, job)
        self._flush()

    # --- reading ---------------------------------------------------------------------------------------------------

    def job(self, ref: str | int, *, api: str | None, tenant: str | None) -> Job | None:
        """One job; nobody else changes it until the transaction ends."""
        self._flush()
        for statement in job_statements(ref, api, tenant):
            locked = self._unit.sets.dialect.locking(statement.sql, "jobs")
            for row in self._unit.sets.all(locked, statement.parameters):
                return rows.job(row)
        return None

    def subjobs(self, job: int) -> Sequence[Subjob]:
        """All subjobs of a job by ordinal."""
        self._flush_subjobs()
        return [rows.subjob(row) for row in self._unit.sets.all(_SUBJOBS, (job,))]

    def jobs(self, query: JobQuery) -> Sequence[Job]:
        """The jobs a query names."""
        assert self._unit.queries is not None
        self._flush()
        found: list[Job] = []
        for statement in self._unit.queries.pages(query):
            if len(found) < query.limit:
                locked = self._unit.sets.dialect.locking(statement.sql, "jobs")
                rest = self._unit.sets.all(locked, statement.parameters)[: query.limit - len(found)]
                found += [rows.job(row) for row in rest]
        return found

    def held_until(self, job: int) -> Micros | None:
        """Until when the worker that runs a job need not be heard of again; ``None`` when none runs it."""
        self._flush_subjobs()
        found = heard(self._unit.sets, (job,)).get(job)
        return None if found is None else found[1]

    # --- writing ---------------------------------------------------------------------------------------------------

    @override
    def submit(self, job: NewJob) -> Submitted:
        """Submit inside a larger transaction; raises ``Refused`` as the hot verb refuses."""
        self._flush()
        (answer,) = submit(self._unit, [(job,)])
        if isinstance(answer, Refusal):
            raise Refused(answer)
        (submitted,) = answer
        return submitted

    def add_subjobs(self, job: Job, subjobs: Sequence[NewSubjob]) -> Sequence[Subjob]:
        """Append subjobs to a job."""
        if not subjobs:
            return []
        entry = self._entry(job.number)
        if entry.cancel_requested or entry.finished_as:
            raise _conflict(job, f"Job {job.number} is being ended; nothing can be added to it.")
        state = State.SUSPENDED if entry.suspended else State.PENDING
        (row,) = self._unit.sets.all(_WHOLE_JOB_ROW, (job.number,))
        (first,) = self._unit.numbers(subjobs=len(subjobs))
        ordinal = len(self.subjobs(job.number))
        made = [
            rows.new_subjob(piece, first + index, ordinal + index, self.now, row, state)
            for index, piece in enumerate(subjobs)
        ]
        self._unit.sets.insert("subjobs", rows.NEW_SUBJOB_COLUMNS, made)
        added = [rows.subjob(one) for one in made]
        for subjob in added:
            self._ledger.add(entry, state)
            self._ledger.tell(entry, EventType.SUBJOB_CHANGED, subjob=subjob.ordinal, subjob_state=state)
            self._unit.woken.add(kept(subjob.queue))
        self._unfolded.add(job.number)
        return added

    def change_subjob(
        self,
        subjob: Subjob,
        state: State,
        *,
        actor: Actor,
        reason: str = "",
        message: str = "",
        result: str | None = None,
        by: str = "",
        request_id: str = "",
    ) -> Subjob:
        """Take a subjob to another state, fence its open attempt where the change ends it, and write the event."""
        if state is State.CANCELLING and not self._unit.sets.all(_IS_HELD, (subjob.id, subjob.attempt_no)):
            # Nobody holds it whom one could tell.
            state = State.CANCELLED
        if not may_change(subjob.state, state, actor):
            raise refuse(
                Reason.STATE_CONFLICT,
                f"Subjob {subjob.ordinal} of job {subjob.job} is {subjob.state}, which cannot become {state} here.",
                state=subjob.state,
            )
        entry = self._entry(subjob.job)
        fenced = self._leave(subjob, state, reason, message)
        self._ledger.move(entry, subjob.state, state, current=subjob.generation == entry.generation)
        type_, attempt = (EventType.ATTEMPT_ENDED, subjob.attempt_no) if fenced else (EventType.SUBJOB_CHANGED, None)
        place = (subjob.ordinal, state, attempt)
        self._tell(entry, type_, place, reason=reason, message=message, by=by, request_id=request_id)
        self._unfolded.add(subjob.job)
        anew = state is State.PENDING and (subjob.state.terminal or subjob.state is State.SUSPENDED)
        if anew and entry.api in self._unit.resumed:
            self._resumed.add(subjob.job)
        limits = rows.time_limits(entry.limits)
        return self._keep(_after(subjob, state, self.now, limits, reason=reason, message=message, result=result))

    def accept_subjob(self, subjob: Subjob, generation: int, *, by: str = "", request_id: str = "") -> Subjob:
        """Note that an executor reached by push runs a subjob, and at which generation of its job."""
        entry = self._entry(subjob.job)
        accepted = replace(subjob, generation=generation)
        if subjob.state is not State.RUNNING:
            return self.change_subjob(accepted, State.RUNNING, actor=Actor.WORKER, by=by, request_id=request_id)
        if subjob.generation != generation:
            self._ledger.regenerate(entry, subjob.generation, generation)
            place = (subjob.ordinal, subjob.state, None)
            self._tell(entry, EventType.SUBJOB_CHANGED, place, reason="", message="", by=by, request_id=request_id)
            self._unfolded.add(subjob.job)
        heartbeat = rows.time_limits(entry.limits).heartbeat
        return self._keep(replace(accepted, updated_at=self.now, silence_at=rows.after(self.now, heartbeat)))

    def note_subjob(
        self, subjob: Subjob, *, result: str | None = None, reason: str | None = None, message: str | None = None
    ) -> Subjob:
        """Keep something about a subjob that stays in its state."""
        noted = replace(
            subjob,
            result=subjob.result if result is None else result,
            reason=subjob.reason if reason is None else reason,
            message=subjob.message if message is None else message,
            updated_at=self.now,
        )
        return self._keep(noted)

    def change_job(
        self,
        job: Job,
        *,
        control: Control | None = None,
        spec: str | None = None,
        attributes: Mapping[str, Attribute] | None = None,
        labels: Mapping[str, str] | None = None,
        display_name: str | None = None,
        message: str | None = None,
        reason: str | None = None,
        generation: int | None = None,
        expires_at: Micros | None = None,
        event: EventType | None = None,
        by: str = "",
        request_id: str = "",
    ) -> Job:
        """Change a job row (its state follows at :meth:`refold`), and append ``event`` if given."""
        entry = self._entry(job.number)
        said = said_of(
            control=control,
            spec=spec,
            attributes=attributes,
            labels=labels,
            display_name=display_name,
            message=message,
            reason=reason,
            generation=generation,
            expires_at=expires_at,
        )
        if control is not None:
            self.heed(job, control)
        if columns := apply(entry, said):
            self._unit.sets.update("jobs", ("number",), tuple(columns), [(job.number, *columns.values())])
        if event is not None:
            self._tell(entry, event, reason=reason or "", message=message or "", by=by, request_id=request_id)
        self._unfolded.add(job.number)
        return changed(job, entry, said, self.now)

    def refold(self, job: Job, *, by: str = "", request_id: str = "") -> Job:
        """Recompute the job's state from its counters and control; writes JOB_CHANGED when it differs."""
        self._fold(job.number, by=by, request_id=request_id)
        self._unfolded.discard(job.number)
        self._flush()
        (row,) = self._unit.sets.all(_JOB_ROW, (job.number,))
        return rows.job(row)

    def delete_job(self, job: Job, *, by: str, request_id: str = "") -> None:
        """Remove a job with all it owns; its leases are lost; JOB_DELETED stays in the event table."""
        if job.api in self._unit.ended and not job.terminal:
            self._unit.ended[job.api](self, job)
        self._ledger.tell(self._entry(job.number), EventType.JOB_DELETED, actor=kept(by), request_id=kept(request_id))
        self._flush()
        self._unfolded.discard(job.number)
        remove_job(self._unit, job.number)

    def import_job(self, job: ImportedJob) -> Job:
        """Write a job that ran elsewhere, with its number, times and state; replaces one of the same number."""
        self._flush()
        return import_job(self._unit, job)

    def held(self, token: str, principal: str) -> HeldSubjob:
        """What a token is a lease of."""
        lease = lease_of(self._unit, token, kept(principal))
        if lease is None or not lease.open:
            raise refuse(Reason.LEASE_LOST, "The lease is not held any more.")
        return HeldSubjob(lease.job, lease.ordinal, lease.subjob, lease.number)

    # --- the books -------------------------------------------------------------------------------------------------

    def _entry(self, number: int) -> Entry:
        if number not in self._ledger.entries:
            self._ledger.load((number,))
        entry = self._ledger.entries.get(number)
        if entry is None:
            raise refuse(Reason.JOB_NOT_FOUND, f"There is no job {number}.", job=str(number))
        return entry

    def _fold(self, number: int, *, by: str = "", request_id: str = "") -> None:
        """Fold a job, and note when that is its end and somebody waits for it."""
        entry = self._entry(number)
        before = State(entry.state)
        self._ledger.fold(entry, actor=kept(by), request_id=kept(request_id))
        if State(entry.state).terminal and not before.terminal and entry.api in self._unit.ended:
            self._ended.append(number)

    def _tell(
        self,
        entry: Entry,
        type_: EventType,
        place: tuple[int | None, State | None, int | None] = (None, None, None),
        *,
        reason: str,
        message: str,
        by: str,
        request_id: str,
    ) -> None:
        """Append an event; ``place`` is the ordinal and state of the subjob it is about, and its attempt."""
        self._ledger.tell(
            entry,
            type_,
            subjob=place[0],
            subjob_state=place[1],
            attempt=place[2],
            reason=kept(reason),
            message=kept(message),
            actor=kept(by),
            request_id=kept(request_id),
        )

    def _keep(self, subjob: Subjob) -> Subjob:
        self._moved[subjob.id] = (
            *(subjob.id, subjob.state.value, kept(subjob.reason), kept(subjob.message), subjob.result),
            *(subjob.generation, subjob.attempts, subjob.wake_at, self.now, subjob.finished_at),
            *(subjob.limit_at, subjob.silence_at, subjob.total_at),
        )
        return subjob

    def _flush_subjobs(self) -> None:
        self._unit.sets.update("subjobs", ("id",), _MOVED, list(self._moved.values()))
        self._moved.clear()

    def _flush(self) -> None:
        self._flush_subjobs()
        self._ledger.close()
        self._ledger = Ledger(self._unit)

    def _leave(self, subjob: Subjob, state: State, reason: str, message: str) -> bool:
        """End the attempt that a change takes a subjob away from; whether there was one."""
        if state is State.PENDING:
            self._unit.woken.add(kept(subjob.queue))
        if subjob.state not in _HELD or state in _HELD:
            return False
        # A place in a queue with a limit is free again.
        self._unit.woken.add(kept(subjob.queue))
        values = (kept(reason), kept(message), self.now, subjob.id, subjob.attempt_no)
        return self._unit.sets.run(_FENCE, values) > 0


def _after(
    subjob: Subjob, state: State, now: Micros, limits: TimeLimits, *, reason: str, message: str, result: str | None
) -> Subjob:
    """The subjob in its new state; one that begins anew keeps nothing of what it did."""
    anew = subjob.state.terminal and state is State.PENDING
    limit = {State.PENDING: limits.start, State.RUNNING: limits.attempt}.get(state)
    return replace(
        subjob,
        state=state,
        reason=reason,
        message=message,
        result=result if result is not None else "null" if anew else subjob.result,
        attempts=0 if anew else subjob.attempts,
        wake_at=subjob.wake_at if state is State.PENDING and not anew else None,
        updated_at=now,
        finished_at=now if state.terminal else None,
        limit_at=rows.after(now, limit),
        silence_at=rows.after(now, limits.heartbeat) if state is State.RUNNING else None,
        total_at=rows.after(now, limits.total) if anew else subjob.total_at,
    )


def _conflict(job: Job, message: str) -> Refused:
    return refuse(Reason.STATE_CONFLICT, message, job=str(job.number), state=job.state)
