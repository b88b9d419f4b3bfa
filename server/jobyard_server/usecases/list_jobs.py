"""List jobs: filtered, sorted, page by page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from jobyard_server.domain.fields import JOB_FIELDS, Field, job_value
from jobyard_server.domain.paging import Cursor, fingerprint, open_page, page_size, seal_page
from jobyard_server.usecases.conditions import conditions, parse_order
from jobyard_server.usecases.ports import JobQuery, Order
from jobyard_server.usecases.watch_jobs import seal_watch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobyard_server.domain.filter import Expression
    from jobyard_server.domain.job import Job
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Store

NEWEST_FIRST: Final = (Order("number", descending=True),)


@dataclass(frozen=True, slots=True)
class JobList:
    """Which jobs a caller wants to see."""

    filter: str = ""
    """In the filter language of jobs.v1."""
    where: Expression | None = None
    """Conditions an API builds itself, over columns and its own attributes; joined to ``filter``."""
    order_by: str = ""
    """Such as ``create_time desc, number``; in the fields of jobs.v1."""
    order: tuple[Order, ...] = NEWEST_FIRST
    """The order an API builds itself, when ``order_by`` is empty."""
    page_size: int = 0
    """0: 100; never more than 1,000."""
    page_token: str = ""
    offset: int = 0
    """Jobs to leave out at the start, for an API whose clients page so."""
    with_total: bool = False


@dataclass(frozen=True, slots=True)
class JobPage:
    """One page of jobs."""

    jobs: tuple[Job, ...]
    next_page_token: str
    """Empty on the last page."""
    watch_token: str
    """Watching from here on tells everything that happened after this page was read."""
    total: int | None = None


async def list_jobs(store: Store, call: Call, request: JobList, *, fields: Mapping[str, Field] = JOB_FIELDS) -> JobPage:
    """One page. A job that matches during the whole walk is seen exactly once."""
    where = conditions(request.filter, request.where, fields)
    order = parse_order(request.order_by, fields) if request.order_by.strip() else request.order
    if "number" not in {key.field for key in order}:
        order = (*order, Order("number", descending=order[-1].descending))
    bound_to = fingerprint(call.seen_api, call.seen_tenant, where, order)
    cursor = open_page(store.signer, bound_to, request.page_token) if request.page_token else None
    _, head = await store.read.event_bounds()
    newest = cursor.at_most_number if cursor is not None else await store.read.newest_number()
    size = page_size(request.page_size)
    query = JobQuery(
        api=call.seen_api,
        tenant=call.seen_tenant,
        where=where,
        order=order,
        after=cursor.after if cursor is not None else None,
        at_most_number=newest,
        limit=size + 1,
        offset=request.offset,
    )
    found = await store.read.jobs(query)
    jobs = tuple(found[:size])
    token = ""
    if len(found) > size:
        token = seal_page(
            store.signer, bound_to, Cursor(tuple(job_value(jobs[-1], key.field) for key in order), newest)
        )
    total = await store.read.count_jobs(replace(query, after=None, offset=0)) if request.with_total else None
    return JobPage(jobs, token, seal_watch(store.signer, head), total)
