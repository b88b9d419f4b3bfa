"""A transaction as the use cases see it: jobs and their pieces, changed one by one and written together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from jobyard_server.domain.event import EventType
from jobyard_server.domain.reason import Reason, Refusal, Refused, refuse
from jobyard_server.domain.state import State, may_change
from jobyard_server.store import rows
from jobyard_server.store.importing import import_job
from jobyard_server.store.ledger import Ledger
from jobyard_server.store.logs import append_log
from jobyard_server.store.query import job_statements
from jobyard_server.store.removing import remove_job
from jobyard_server.store.rows import attributes_text, kept
from jobyard_server.store.submit import submit
from jobyard_server.store.transaction_catalog import CatalogTransaction
from jobyard_server.store.transaction_schedules import ScheduleTransaction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobyard_server.domain.job import Attribute, Job, Micros, NewJob, NewSubjob, Subjob
    from jobyard_server.domain.state import Actor, Control
    from jobyard_server.store.ledger import Entry
    from jobyard_server.store.unit import Unit
    from jobyard_server.usecases.ports import ImportedJob, Submitted

_SUBJOBS: Final = f"SELECT {', '.join(rows.SUBJOB_COLUMNS)} FROM subjobs WHERE job = ? ORDER BY ordinal"  # noqa: S608 - our own names
_MOVED: Final = (
    *("state", "reason", "message", "result", "generation", "attempts", "wake_at", "updated_at", "finished_at"),
)
_HELD: Final = frozenset({State.RUNNING, State.CANCELLING})
_IS_HELD: Final = "SELECT 1 FROM attempts WHERE subjob = ? AND number = ? AND outcome = 'OPEN'"
_FENCE: Final = (
    "UPDATE attempts SET outcome = 'FENCED', reason = ?, message = ?, ended_at = ? "
    "WHERE subjob = ? AND number = ? AND outcome = 'OPEN'"
)
_JOB_ROW: Final = f"SELECT {', '.join(rows.JOB_COLUMNS)} FROM jobs WHERE number = ?"  # noqa: S608 - our own names


class Transaction(CatalogTransaction, ScheduleTransaction):
    """Changes of subjobs are gathered in a ledger, and written when a job is folded, read again, or at the end."""

    def __init__(self, unit: Unit) -> None:
        super().__init__(unit)
        self._ledger = Ledger(unit)
        self._moved: dict[int, tuple[Any, ...]] = {}
        self._unfolded: set[int] = set()

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
            self._ledger.fold(self._entry(number))
        self._flush()

    # --- reading ---------------------------------------------------------------------------------------------------

    def job(self, ref: str | int, *, api: str | None, tenant: str | None) -> Job | None:
        """One job; the transaction holds the only write lock, so nobody else changes it."""
        self._flush()
        for statement in job_statements(ref, api, tenant):
            for row in self._unit.sets.all(statement.sql, statement.parameters):
                return rows.job(row)
        return None

    def subjobs(self, job: int) -> Sequence[Subjob]:
        """All subjobs of a job by ordinal."""
        self._flush_subjobs()
        return [rows.subjob(row) for row in self._unit.sets.all(_SUBJOBS, (job,))]

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
        (row,) = self._unit.sets.all(_JOB_ROW, (job.number,))
        first, ordinal = self._unit.numbers("subjobs", len(subjobs)), len(self.subjobs(job.number))
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
        self._ledger.tell(
            entry,
            EventType.ATTEMPT_ENDED if fenced else EventType.SUBJOB_CHANGED,
            subjob=subjob.ordinal,
            subjob_state=state,
            attempt=subjob.attempt_no if fenced else None,
            reason=kept(reason),
            message=kept(message),
            actor=kept(by),
            request_id=kept(request_id),
        )
        self._unfolded.add(subjob.job)
        changed = _after(subjob, state, self.now, reason=reason, message=message, result=result)
        self._moved[subjob.id] = (
            *(changed.id, changed.state.value, kept(changed.reason), kept(changed.message), changed.result),
            *(changed.generation, changed.attempts, changed.wake_at, self.now, changed.finished_at),
        )
        return changed

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
        entry.touched = True
        columns: dict[str, Any] = {}
        if control is not None:
            columns |= _control_columns(control)
            _set_control(entry, control)
            self.heed(job, control)
        if generation is not None:
            columns["generation"] = entry.generation = generation
            # Nobody has accepted the new generation yet.
            entry.running_now = 0
        for name, text in (
            ("spec", spec),
            ("attributes", None if attributes is None else attributes_text(attributes)),
            ("labels", None if labels is None else attributes_text(labels)),
            ("display_name", None if display_name is None else kept(display_name)),
        ):
            if text is not None:
                columns[name] = text
        if message is not None:
            entry.message = kept(message)
        if reason is not None:
            entry.reason = kept(reason)
        if expires_at is not None:
            entry.expires_at = expires_at
        if columns:
            self._unit.sets.update("jobs", ("number",), tuple(columns), [(job.number, *columns.values())])
        if event is not None:
            self._ledger.tell(
                entry,
                event,
                reason=kept(reason or ""),
                message=kept(message or ""),
                actor=kept(by),
                request_id=kept(request_id),
            )
        self._unfolded.add(job.number)
        return replace(
            job,
            control=job.control if control is None else replace(control, running_now=entry.running_now),
            spec=job.spec if spec is None else spec,
            attributes=job.attributes if attributes is None else attributes,
            labels=job.labels if labels is None else labels,
            display_name=job.display_name if display_name is None else display_name,
            message=job.message if message is None else message,
            reason=job.reason if reason is None else reason,
            generation=entry.generation,
            expires_at=entry.expires_at,
            # As they will be when this is written.
            revision=entry.revision + 1,
            updated_at=self.now,
            last_event=entry.last_event,
        )

    def refold(self, job: Job, *, by: str = "", request_id: str = "") -> Job:
        """Recompute the job's state from its counters and control; writes JOB_CHANGED when it differs."""
        self._ledger.fold(self._entry(job.number), actor=kept(by), request_id=kept(request_id))
        self._unfolded.discard(job.number)
        self._flush()
        (row,) = self._unit.sets.all(_JOB_ROW, (job.number,))
        return rows.job(row)

    def delete_job(self, job: Job, *, by: str, request_id: str = "") -> None:
        """Remove a job with all it owns; its leases are lost; JOB_DELETED stays in the event table."""
        self._ledger.tell(self._entry(job.number), EventType.JOB_DELETED, actor=kept(by), request_id=kept(request_id))
        self._flush()
        self._unfolded.discard(job.number)
        remove_job(self._unit, job.number)

    def import_job(self, job: ImportedJob) -> Job:
        """Write a job that ran elsewhere, with its number, times and state; replaces one of the same number."""
        self._flush()
        return import_job(self._unit, job)

    def append_log(self, token: str, principal: str, offset: int, data: bytes) -> int:
        """Keep a chunk of an attempt's log; returns the size received so far. Sent twice, kept once."""
        return append_log(self._unit, token, principal, offset, data)

    # --- the books -------------------------------------------------------------------------------------------------

    def _entry(self, number: int) -> Entry:
        if number not in self._ledger.entries:
            self._ledger.load((number,))
        entry = self._ledger.entries.get(number)
        if entry is None:
            raise refuse(Reason.JOB_NOT_FOUND, f"There is no job {number}.", job=str(number))
        return entry

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


def _after(subjob: Subjob, state: State, now: Micros, *, reason: str, message: str, result: str | None) -> Subjob:
    """The subjob in its new state; one that begins anew keeps nothing of what it did."""
    anew = subjob.state.terminal and state is State.PENDING
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
    )


def _control_columns(control: Control) -> dict[str, Any]:
    return {
        "cancel_requested": control.cancel_requested,
        "suspended": control.suspended,
        "split_complete": control.split_complete,
        "exhausted": control.exhausted,
        "finished_as": None if control.finished_as is None else control.finished_as.value,
    }


def _set_control(entry: Entry, control: Control) -> None:
    for name, value in _control_columns(control).items():
        setattr(entry, name, value)


def _conflict(job: Job, message: str) -> Refused:
    return refuse(Reason.STATE_CONFLICT, message, job=str(job.number), state=job.state)
