"""Cancel, retry or delete all jobs that match a filter, in many small transactions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from jobyard_server.domain.fields import JOB_FIELDS, Field, job_value
from jobyard_server.domain.filter import All, Comparison, Op
from jobyard_server.domain.matching import matches
from jobyard_server.domain.reason import Reason, Refused, Violation, invalid, refuse
from jobyard_server.domain.state import TERMINAL, State
from jobyard_server.usecases.cancel_job import cancel_locked
from jobyard_server.usecases.conditions import conditions
from jobyard_server.usecases.delete_job import delete_locked
from jobyard_server.usecases.ports import JobQuery, Order
from jobyard_server.usecases.retry_job import retry_locked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jobyard_server.domain.filter import Expression
    from jobyard_server.domain.job import Job
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Store, Tx

STEP: Final = 50
"""Jobs changed by one transaction: others who write wait no longer than for a large batch."""
USUAL_LIMIT: Final = 10_000

CANCELLABLE: Final = frozenset({State.PENDING, State.RUNNING, State.SUSPENDED})
RETRYABLE: Final = frozenset({State.FAILED, State.PARTIALLY_FAILED})


@dataclass(frozen=True, slots=True)
class Selection:
    """Which jobs are to be changed."""

    filter: str
    """In the filter language of jobs.v1."""
    where: Expression | None = None
    """Conditions an API builds itself; joined to ``filter``."""
    dry_run: bool = False
    """Only count them."""
    expected: int | None = None
    """Change nothing unless exactly so many match."""
    limit: int = USUAL_LIMIT
    """Most jobs to change."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What became of a selection."""

    matched: int
    """When it began."""
    changed: int
    more: bool
    """Whether more matched than the limit allowed to change."""


async def cancel_jobs(
    store: Store,
    call: Call,
    selection: Selection,
    *,
    message: str = "",
    fields: Mapping[str, Field] = JOB_FIELDS,
) -> Changed:
    """Ask all that match and have not ended to end."""
    where = _where(selection, CANCELLABLE, fields)
    return await _change(store, call, selection, where, lambda tx, job: cancel_locked(tx, call, job, message=message))


async def retry_jobs(
    store: Store,
    call: Call,
    selection: Selection,
    *,
    message: str = "",
    fields: Mapping[str, Field] = JOB_FIELDS,
) -> Changed:
    """Run again what failed of all that match."""
    where = _where(selection, RETRYABLE, fields)
    return await _change(store, call, selection, where, lambda tx, job: retry_locked(tx, call, job, message=message))


async def delete_jobs(
    store: Store,
    call: Call,
    selection: Selection,
    *,
    force: bool = False,
    fields: Mapping[str, Field] = JOB_FIELDS,
) -> Changed:
    """Remove all that match and have ended, or with ``force`` all that match."""
    where = _where(selection, frozenset(State) if force else TERMINAL, fields)
    return await _change(store, call, selection, where, lambda tx, job: delete_locked(tx, call, job, force=force))


def _where(selection: Selection, states: frozenset[State], fields: Mapping[str, Field]) -> Expression:
    asked = conditions(selection.filter, selection.where, fields)
    if asked is None:
        # Nobody means all jobs by saying nothing.
        raise invalid("filter", "is empty")
    return All((asked, Comparison("state", Op.IN, tuple(sorted(states)))))


async def _change(
    store: Store, call: Call, selection: Selection, where: Expression, change: Callable[[Tx, Job], Job]
) -> Changed:
    """Walk over what matches now by rising number, so that jobs that arrive or match later are left alone."""
    newest = await store.read.newest_number()
    query = JobQuery(call.seen_api, call.seen_tenant, where, (Order("number"),), at_most_number=newest)
    matched = await store.read.count_jobs(query)
    _check_expected(selection, matched)
    if selection.dry_run:
        return Changed(matched, 0, more=matched > selection.limit)
    changed = seen = 0
    after = 0
    while seen < selection.limit:
        size = min(STEP, selection.limit - seen)
        step = JobQuery(
            call.seen_api,
            call.seen_tenant,
            where,
            (Order("number"),),
            after=(after,),
            at_most_number=newest,
            limit=size,
        )
        numbers = [job.number for job in await store.read.jobs(step)]
        if not numbers:
            break
        change_step = partial(_change_step, call=call, numbers=numbers, where=where, change=change)
        changed += await store.run(change_step)
        seen, after = seen + len(numbers), numbers[-1]
        if len(numbers) < size:
            break
    return Changed(matched, changed, more=matched > seen)


def _check_expected(selection: Selection, matched: int) -> None:
    if selection.expected is None or selection.expected == matched:
        return
    raise refuse(
        Reason.COUNT_MISMATCH,
        f"{matched} jobs match, not {selection.expected}.",
        Violation("expected_count", f"is not {matched}"),
        count=str(matched),
    )


def _change_step(
    tx: Tx, call: Call, numbers: Sequence[int], where: Expression, change: Callable[[Tx, Job], Job]
) -> int:
    """Change those that still match; how many."""
    changed = 0
    for number in numbers:
        job = tx.job(number, api=call.seen_api, tenant=call.seen_tenant)
        if job is None or not _still(where, job):
            continue
        try:
            change(tx, job)
        except Refused:
            # It refuses before it writes: there is nothing to change about this one.
            continue
        changed += 1
    return changed


def _still(where: Expression, job: Job) -> bool:
    return matches(where, lambda name: job_value(job, name))
