"""The hot verb Settle: end attempts, and decide what becomes of their subjobs."""

from __future__ import annotations

import random
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from jobyard_server.domain.event import EventType
from jobyard_server.domain.job import Outcome
from jobyard_server.domain.reason import Reason, Refusal
from jobyard_server.domain.state import State
from jobyard_server.store.ending import ENDED, MOVED, start_limit
from jobyard_server.store.following import follow
from jobyard_server.store.leases import Leases
from jobyard_server.store.ledger import Ledger
from jobyard_server.store.lines import capped
from jobyard_server.store.rows import MICROS, kept, retry_policy
from jobyard_server.usecases.ports import Settled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobyard_server.domain.job import Micros, RetryPolicy
    from jobyard_server.store.leases import Held
    from jobyard_server.store.ledger import Entry
    from jobyard_server.store.unit import Unit
    from jobyard_server.usecases.ports import Settle


TOTAL_TIMED_OUT: Final = "TOTAL_TIMED_OUT"


def settle(unit: Unit, groups: Sequence[Sequence[Settle]]) -> list[list[Settled | Refusal]]:
    """End attempts. A settle that was answered before is answered the same and changes nothing."""
    answers = iter(_settle(unit, [command for group in groups for command in group]))
    return [list(islice(answers, len(group))) for group in groups]


def _settle(unit: Unit, commands: Sequence[Settle]) -> list[Settled | Refusal]:
    ledger = Ledger(unit)
    leases = Leases(unit, [one.token for one in commands], ledger.load_of)
    held = [leases.of(one.token, kept(one.principal)) for one in commands]
    ledger.load(lease.job for lease in held if lease is not None)
    attempts: list[tuple[Any, ...]] = []
    subjobs: list[tuple[Any, ...]] = []
    answers: list[Settled | Refusal] = []
    for command, lease in zip(commands, held, strict=True):
        if lease is None or not (lease.open or lease.outcome == command.outcome):
            answers.append(Refusal(Reason.LEASE_LOST, "the lease is not held any more"))
            continue
        entry = ledger.entries[lease.job]
        if lease.open:
            subjobs.append(_end(unit, ledger, entry, lease, command))
            lease.outcome, lease.answer = command.outcome, f"{lease.state} {entry.state}"
            attempts.append(
                (
                    *(lease.subjob, lease.number, command.outcome.value, lease.answer),
                    *(kept(command.reason), kept(command.message), command.exit_code, unit.now),
                )
            )
        subjob_state, job_state = lease.answer.split(" ")
        answers.append(Settled(entry.number, State(subjob_state), State(job_state)))
    # A place is free again where places are limited. Asked before writing, so that all that is written goes together.
    unit.woken |= capped(unit, (lease.queue for lease in held if lease is not None))
    unit.sets.update("attempts", ("subjob", "number"), ENDED, attempts)
    unit.sets.update("subjobs", ("id",), MOVED, subjobs)
    ledger.close()
    follow(unit, ledger)
    return answers


def _end(unit: Unit, ledger: Ledger, entry: Entry, lease: Held, command: Settle) -> tuple[Any, ...]:
    """Take the subjob of an attempt where its outcome leads."""
    before = State(lease.state)
    policy = retry_policy(entry.retry)
    after, wake_at = _after(unit, entry, lease, command, policy)
    reason, message = kept(command.reason), kept(command.message)
    if _ran_out(unit, lease, command) and after is State.FAILED:
        reason = TOTAL_TIMED_OUT
    attempts = lease.attempts - (command.outcome is Outcome.RELEASED)
    lease.state = after.value
    ledger.move(entry, before, after, current=lease.generation == entry.generation)
    ledger.tell(
        entry,
        EventType.ATTEMPT_ENDED,
        subjob=lease.ordinal,
        subjob_state=after,
        attempt=lease.number,
        reason=reason,
        message=message,
        actor=lease.principal,
        request_id=kept(command.request_id),
    )
    if after.terminal and after is not State.SUCCEEDED and entry.lacks_reason():
        # The first subjob that ended badly says why its job did.
        entry.reason, entry.message = reason or after.value, message
    ledger.fold(entry, actor=lease.principal, request_id=kept(command.request_id))
    if after is State.PENDING and wake_at is None:
        unit.woken.add(lease.queue)
    finished_at = unit.now if after.terminal else None
    return (
        *(lease.subjob, after.value, reason, message, command.result, attempts, wake_at),
        *(unit.now, finished_at, start_limit(entry, after, wake_at or unit.now), None),
    )


def _after(unit: Unit, entry: Entry, lease: Held, command: Settle, policy: RetryPolicy) -> tuple[State, Micros | None]:
    """The next state of a subjob whose attempt ended, and when it may be tried again."""
    cancelling = lease.state == State.CANCELLING
    waits = State.SUSPENDED if entry.suspended else State.PENDING
    if command.outcome is Outcome.RELEASED:
        return (State.CANCELLED if cancelling else waits), None
    if command.outcome is Outcome.FAILED and not cancelling and not _ran_out(unit, lease, command):
        exhausted = policy.max_attempts <= lease.attempts
        if not exhausted and command.reason not in policy.non_retryable:
            wait = backoff(policy, lease.attempts)
            return waits, unit.now + wait if wait and waits is State.PENDING else None
    return State(command.outcome.value), None


def _ran_out(unit: Unit, lease: Held, command: Settle) -> bool:
    """Whether a worker stopped because the time in all was over."""
    over = lease.total_at is not None and lease.total_at <= unit.now
    return over and command.outcome is Outcome.FAILED and lease.state != State.CANCELLING


def backoff(policy: RetryPolicy, attempts: int) -> Micros:
    """How long to wait after so many attempts, drawn from the upper half of the wait."""
    # A power of a large count overflows long before it is cut down to the largest wait.
    growth = policy.multiplier ** min(attempts - 1, 64)
    wait = min(policy.max_backoff, policy.initial_backoff * growth)
    return round(wait * (0.5 + random.random() / 2) * MICROS)  # noqa: S311 - jitter
