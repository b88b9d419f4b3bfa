"""Listing jobs: filters and orders as written, pages by token, and who sees what."""

from dataclasses import replace

import pytest

from jobyard_server.domain.filter import Comparison, Op
from jobyard_server.domain.reason import Reason
from jobyard_server.usecases.cancel_job import cancel_job
from jobyard_server.usecases.list_jobs import JobList, list_jobs
from jobyard_server.usecases.ports import Order
from support.storing import new_job, refusal


@pytest.fixture
async def jobs(store, ann):
    made = [
        (await store.submit(new_job(queue=f"q{index % 3}", priority=index % 4, display_name=f"job {index}",
                                    labels={"parity": "even" if index % 2 == 0 else "odd"}))).job
        for index in range(12)
    ]  # fmt: skip
    await cancel_job(store, ann, made[5].number)
    return made


def numbers(page):
    return [job.number for job in page.jobs]


async def walked(store, call, request):
    found = []
    while True:
        page = await list_jobs(store, call, request)
        found += numbers(page)
        if not page.next_page_token:
            return found
        request = replace(request, page_token=page.next_page_token)


async def test_the_newest_come_first(store, ann, jobs):
    page = await list_jobs(store, ann, JobList())
    assert numbers(page) == [job.number for job in reversed(jobs)]
    assert (page.next_page_token, page.total) == ("", None)


@pytest.mark.parametrize("size", [1, 5, 6, 11, 12, 13])
@pytest.mark.parametrize(
    "order", ["", "number", "queue desc, priority", "create_time", "display_name desc", "end_time"]
)
async def test_pages_of_any_size_add_up(store, ann, jobs, size, order):
    whole = numbers(await list_jobs(store, ann, JobList(order_by=order)))
    assert sorted(whole) == [job.number for job in jobs]
    assert await walked(store, ann, JobList(order_by=order, page_size=size)) == whole


async def test_a_full_last_page_has_no_next_one(store, ann, jobs):
    assert (await list_jobs(store, ann, JobList(page_size=12))).next_page_token == ""


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("state = CANCELLED", [6]),
        ('queue = q1 AND NOT display_name = "job 4"', [11, 8, 2]),
        ("labels.parity = odd priority >= 3", [12, 8, 4]),
        ("number < 3 OR number > 11", [12, 2, 1]),
        ('display_name:"b 1"', [12, 11, 2]),
        ("end_time:*", [6]),
        ("create_time > 2020-01-01T00:00:00Z api = jobs", list(range(12, 0, -1))),
        ("tenant = other", []),
    ],
)
async def test_filters_select(store, ann, jobs, text, wanted):
    page = await list_jobs(store, ann, JobList(filter=text, with_total=True, page_size=2))
    assert await walked(store, ann, JobList(filter=text)) == wanted
    assert page.total == len(wanted)


async def test_conditions_of_an_api_join_the_written_filter(store, ann, jobs):
    request = JobList(filter="queue = q1", where=Comparison("priority", Op.EQ, 1))
    assert numbers(await list_jobs(store, ann, request)) == [2]


async def test_an_api_orders_by_its_own_attributes(store, sample):
    for colour in ("red", "blue", "green", None):
        await store.submit(new_job(api="sample", attributes={"colour": colour}))
    request = JobList(order=(Order("colour"),), page_size=1)
    assert await walked(store, sample, request) == [4, 2, 3, 1]
    assert numbers(await list_jobs(store, sample, JobList(where=Comparison("colour", Op.EQ, "blue")))) == [2]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("payload", "'payload' is not a field to sort by"),
        ("uid", "'uid' is not a field to sort by"),
        ("number down", "expected asc or desc"),
        ("number asc desc", "expected asc or desc"),
        ("number, number desc", "'number' is named twice"),
        ("number,", "'' is not a field"),
    ],
)
async def test_a_wrong_order_is_refused(store, ann, text, problem):
    refused = await refusal(list_jobs(store, ann, JobList(order_by=text)))
    assert refused.reason is Reason.INVALID_ORDER
    assert problem in refused.message


async def test_a_wrong_filter_is_refused(store, ann):
    assert (await refusal(list_jobs(store, ann, JobList(filter="state ==")))).reason is Reason.INVALID_FILTER


async def test_a_token_keeps_to_its_list(store, ann, stranger, jobs):
    first = JobList(filter="priority < 3", order_by="queue", page_size=2)
    token = (await list_jobs(store, ann, first)).next_page_token
    for call, other in (
        (ann, replace(first, filter="priority < 2")),
        (ann, replace(first, filter="")),
        (ann, replace(first, order_by="queue desc")),
        (ann, replace(first, where=Comparison("priority", Op.EQ, 1))),
        (stranger, first),
        (replace(ann, every_api=False), first),
    ):
        refused = await refusal(list_jobs(store, call, replace(other, page_token=token)))
        assert refused.reason is Reason.INVALID_PAGE_TOKEN
    assert (await list_jobs(store, ann, replace(first, page_token=token, page_size=50))).next_page_token == ""


async def test_the_same_page_can_be_fetched_again(store, ann, jobs):
    token = (await list_jobs(store, ann, JobList(page_size=4))).next_page_token
    again = [await list_jobs(store, ann, JobList(page_size=4, page_token=token)) for _ in range(2)]
    assert numbers(again[0]) == numbers(again[1]) == [8, 7, 6, 5]
    assert again[0].next_page_token == again[1].next_page_token


@pytest.mark.parametrize("order", ["number", "number desc", "queue"])
async def test_a_walk_ends_although_jobs_arrive(store, ann, jobs, order):
    request, found = JobList(order_by=order, page_size=2), []
    while True:
        page = await list_jobs(store, ann, request)
        found += numbers(page)
        await store.submit(new_job(queue="q1"))
        if not page.next_page_token:
            break
        request = replace(request, page_token=page.next_page_token)
    assert sorted(found) == [job.number for job in jobs]


async def test_everybody_sees_what_is_his(store, ann, sample, stranger, operator, jobs):
    await store.submit(new_job(api="sample"))
    await store.submit(new_job(tenant="other"))
    sizes = [len((await list_jobs(store, call, JobList())).jobs) for call in (ann, sample, stranger, operator)]
    assert sizes == [13, 1, 1, 14]


async def test_offsets_leave_out_the_first(store, ann, jobs):
    page = await list_jobs(store, ann, JobList(offset=3, page_size=2, with_total=True))
    assert (numbers(page), page.total) == ([9, 8], 12)
