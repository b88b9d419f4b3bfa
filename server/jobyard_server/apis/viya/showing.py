"""Jobs shown to clients: one, a page of them, and the items of bulk answers."""

from __future__ import annotations

from google.rpc import status_pb2

from jobyard.viya.v1 import job_collection_pb2, job_pb2, link_pb2, page_pb2
from jobyard_server.apis.viya import fields
from jobyard_server.apis.viya.filtering import read
from jobyard_server.apis.viya.finding import sights, there
from jobyard_server.apis.viya.mapping import job_message
from jobyard_server.apis.viya.pages import ListRequest, Window
from jobyard_server.domain.filter import All, Comparison, Op
from jobyard_server.domain.job import Job
from jobyard_server.domain.reason import Reason, Refusal, refuse
from jobyard_server.rpc import failures
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.list_jobs import JobList, list_jobs
from jobyard_server.usecases.ports import Store

NEWEST_FIRST = "creationTimeStamp:descending"
SELECTED_MOST = 1000


async def show(store: Store, job: Job) -> job_pb2.Job:
    """One job."""
    (sight,) = await sights(store.read, [job])
    return job_message(job, sight)


async def show_page(
    store: Store, call: Call, request: ListRequest, request_id: str = ""
) -> tuple[job_collection_pb2.JobCollection, page_pb2.Page]:
    """A page of jobs, of one kept request or of all."""
    window = Window.of(request, NEWEST_FIRST)
    now = await store.read.now()
    where = there(read(window.filter, fields.table(now)), now)
    if request_id:
        where = All((Comparison("request_id", Op.EQ, request_id), where))
    order = fields.TABLE.order(window.sort_by)
    # A page of nothing is legal here; the list then only counts.
    wanted = JobList(
        where=where, order=order, page_size=window.limit or 1, offset=window.start, with_total=True
    )  # fmt: skip
    found = await list_jobs(store, call, wanted)
    jobs = found.jobs if window.limit else ()
    count = found.total or 0
    shown = [job_message(job, sight) for job, sight in zip(jobs, await sights(store.read, jobs), strict=True)]
    collection = job_collection_pb2.JobCollection(
        name="jobs",
        accept=link_pb2.ITEM_TYPE_JOB,
        start=window.start,
        limit=window.limit,
        count=count,
        items=shown,
        version=2,
    )
    return collection, window.page(count)


def selected(selection: link_pb2.Selection) -> list[str]:
    """The URIs of a selection."""
    if selection.type != "uri":
        raise refuse(
            Reason.REQUEST_INVALID, "Invalid selection type. A resource selection type of URI is required."
        )  # fmt: skip
    if len(selection.resources) > SELECTED_MOST:
        raise refuse(Reason.REQUEST_INVALID, f"The selection has more than {SELECTED_MOST} resources.")
    return list(selection.resources)


def error_item(refusal: Refusal, call: Call) -> job_collection_pb2.JobItem:
    """Why nothing was done with one resource."""
    failure = failures.from_refusal(refusal, call.request_id)
    status = status_pb2.Status(code=failure.code, message=failure.message)
    for detail in failure.details:
        status.details.add().Pack(detail)
    return job_collection_pb2.JobItem(error=status)


def items(found: list[job_collection_pb2.JobItem]) -> job_collection_pb2.JobItems:
    """The answer to a bulk request."""
    return job_collection_pb2.JobItems(name="items", items=found, version=2)
