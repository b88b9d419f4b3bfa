"""Lists of jobs: every condition means what it says, and every walk sees every job once."""

import itertools
import tempfile
from dataclasses import replace

import pytest
import pytest_asyncio
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobyard_server.domain.fields import ELAPSED_MILLIS, JOB_COLUMNS, ApiFields, Kind, job_value
from jobyard_server.domain.filter import All, Any, Comparison, Not, Op
from jobyard_server.domain.matching import matches
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.reason import Reason
from jobyard_server.store.store import Store
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.cancel_job import cancel_job
from jobyard_server.usecases.delete_job import delete_job
from jobyard_server.usecases.ports import JobQuery, Order
from support.storing import new_job, refusal

ATTRIBUTES = {"colour": Kind.TEXT, "size": Kind.INT, "plain": Kind.TEXT}
FIELDS = {"sample": ApiFields(ATTRIBUTES, indexed=("colour", "size", "state_word", "updated_at"))}
TEXTS = ["", "a", "A", "ab", "abc", "b", "é", "日本", "😀", "%", "_", "'", '"', "{}"]
NUMBERS = [0, 1, -1, 5, 2**63 - 1, -(2**63), 2**53 + 1]
MANY = 60


class Shelf:
    """A store with jobs of all kinds, which no test changes."""

    def __init__(self, store, jobs):
        self.read = store.read
        self.jobs = jobs


@pytest_asyncio.fixture(scope="module", params=["sqlite", "postgresql"])
async def shelf(request):
    with tempfile.TemporaryDirectory() as folder:
        postgres = request.param == "postgresql"
        url = request.getfixturevalue("cluster").new_database() if postgres else f"sqlite:///{folder}/lists.db"
        async with Store(url, fields=FIELDS) as opened:
            texts, numbers = itertools.cycle([None, *TEXTS]), itertools.cycle([None, None, *NUMBERS])
            for index in range(MANY):
                job = new_job(
                    api="sample",
                    external_id=None if index % 3 else f"id-{index}",
                    queue=f"q{index % 4}",
                    priority=index % 5,
                    display_name=next(texts) or "",
                    attributes={"colour": next(texts), "size": next(numbers), "plain": next(texts)},
                    labels={} if index % 2 else {"team": next(texts) or "", "a.b": "x"},
                )
                made = (await opened.submit(job)).job
                if index % 4 == 0:
                    await cancel_job(opened, Call(Principal("ann", "acme"), "sample"), made.number)
            await opened.submit(new_job(api="sample", tenant="other", attributes={"colour": "a"}))
            await opened.submit(new_job(api="jobs"))
            found = await opened.read.jobs(JobQuery("sample", "acme", limit=1000))
            assert len(found) == MANY
            yield Shelf(opened, found)


def selected(jobs, where):
    return [job for job in jobs if where is None or matches(where, lambda name: job_value(job, name))]


# --- conditions --------------------------------------------------------------------------------------------------

ORDERED = [Op.EQ, Op.NE, Op.LT, Op.LE, Op.GT, Op.GE]
OF_TEXT = st.sampled_from(
    ["colour", "plain", "display_name", "queue", "state", "external_id", "labels.team", "labels.a.b", "labels.none"]
)
OF_NUMBERS = st.sampled_from(["size", "priority", "number", "created_at", "finished_at", "started_at", ELAPSED_MILLIS])
ANY_VALUE = st.sampled_from([*NUMBERS, *TEXTS, None])
COMPARISONS = st.one_of(
    st.builds(
        Comparison,
        OF_TEXT,
        st.sampled_from([*ORDERED, Op.HAS, Op.HAS_ANY_CASE, Op.STARTS_WITH, Op.ENDS_WITH]),
        st.sampled_from(TEXTS) | st.text(st.characters(codec="utf-8", exclude_characters="\0\x1a"), max_size=2),
    ),
    st.builds(
        Comparison, OF_NUMBERS, st.sampled_from(ORDERED), st.sampled_from(NUMBERS) | st.integers(-(2**70), 2**70)
    ),
    st.builds(
        Comparison, OF_TEXT | OF_NUMBERS, st.sampled_from(ORDERED), ANY_VALUE.filter(lambda one: one is not None)
    ),
    st.builds(Comparison, OF_TEXT | OF_NUMBERS, st.just(Op.IS_NULL), st.none()),
    st.builds(Comparison, OF_TEXT | OF_NUMBERS, st.just(Op.IN), st.lists(ANY_VALUE, max_size=4).map(tuple)),
)
EXPRESSIONS = st.recursive(
    COMPARISONS,
    lambda parts: st.one_of(
        st.lists(parts, max_size=3).map(lambda found: All(tuple(found))),
        st.lists(parts, max_size=3).map(lambda found: Any(tuple(found))),
        parts.map(Not),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(EXPRESSIONS)
@example(Comparison("colour", Op.GE, ""))
@example(Not(Comparison("size", Op.LT, 5)))
@example(Comparison("colour", Op.HAS_ANY_CASE, "É"))
@example(Comparison("colour", Op.HAS_ANY_CASE, "%"))
@example(Comparison("size", Op.LE, -(2**63)))
@example(Comparison("size", Op.IN, (-(2**63), 5, "5")))
@example(Not(Comparison("labels.team", Op.NE, "a")))
async def test_a_condition_selects_what_it_says(shelf, where):
    query = JobQuery("sample", "acme", where, limit=1000)
    expected = selected(shelf.jobs, where)
    assert await shelf.read.jobs(query) == expected
    assert await shelf.read.count_jobs(query) == len(expected)


@pytest.mark.parametrize("api", ["sample", None])
async def test_an_unknown_field_is_refused(shelf, api):
    refused = await refusal(shelf.read.jobs(JobQuery(api, "acme", Comparison("taste", Op.EQ, "sweet"))))
    assert refused.reason is Reason.INVALID_FILTER
    assert "taste" in refused.message


async def test_attributes_are_known_within_their_api_only(shelf):
    refused = await refusal(shelf.read.jobs(JobQuery(None, "acme", Comparison("colour", Op.EQ, "a"))))
    assert refused.reason is Reason.INVALID_FILTER


async def test_an_unknown_order_is_refused(shelf):
    refused = await refusal(shelf.read.jobs(JobQuery("sample", "acme", order=(Order("taste"),))))
    assert refused.reason is Reason.INVALID_ORDER
    assert "taste" in refused.message


async def test_lists_keep_to_their_api_and_tenant(shelf):
    sizes = {
        scope: await shelf.read.count_jobs(JobQuery(*scope))
        for scope in [("sample", "acme"), ("sample", "other"), ("jobs", "acme"), (None, "acme"), ("sample", None)]
    }
    assert list(sizes.values()) == [MANY, 1, 1, MANY + 1, MANY + 1]
    assert await shelf.read.count_jobs(JobQuery(None, None)) == MANY + 2


# --- pages -------------------------------------------------------------------------------------------------------

SORTABLE = ["colour", "size", "plain", "queue", "priority", "external_id", "finished_at", "created_at", "state"]
KEYS = st.builds(Order, st.sampled_from(SORTABLE), st.booleans())
ORDERS = st.lists(KEYS, max_size=3, unique_by=lambda key: key.field).map(tuple)


def sort_value(job, name):
    """What has no value comes before everything."""
    number = name == "size" or JOB_COLUMNS.get(name, Kind.TEXT) is not Kind.TEXT
    found = job_value(job, name)
    return (-(2**63) if number else "") if found is None else found


def in_order(jobs, order):
    """Sorted by the last key, then by the one before, and so on."""
    found = list(jobs)
    for key in reversed(order):
        found.sort(key=lambda job: sort_value(job, key.field), reverse=key.descending)
    return found


async def pages(store, query):
    """Page after page of a query."""
    while True:
        page = await store.read.jobs(query)
        yield page
        if len(page) < query.limit:
            return
        query = replace(query, after=tuple(job_value(page[-1], key.field) for key in query.order))


@settings(max_examples=200, deadline=None)
@given(ORDERS, st.booleans(), st.integers(1, 25), st.none() | EXPRESSIONS)
async def test_pages_together_are_the_sorted_list(shelf, order, down, size, where):
    order = (*order, Order("number", down))
    query = JobQuery("sample", "acme", where, order, limit=size)
    walked = [job async for page in pages(shelf, query) for job in page]
    assert walked == in_order(selected(shelf.jobs, where), order)


async def test_the_number_decides_between_equals_in_the_direction_of_the_last_key(shelf):
    order = (Order("queue"), Order("priority", descending=True))
    found = await shelf.read.jobs(JobQuery("sample", "acme", order=order, limit=1000))
    assert found == in_order(shelf.jobs, (*order, Order("number", descending=True)))


@pytest.mark.parametrize("size", [1, 7])
async def test_offsets_leave_out_the_first(shelf, size):
    query = JobQuery("sample", "acme", limit=size)
    for offset in (0, 1, 58, 60, 70):
        assert await shelf.read.jobs(replace(query, offset=offset)) == shelf.jobs[offset : offset + size]


@pytest.mark.parametrize("order", [Order("number"), Order("number", descending=True), Order("queue"), Order("colour")])
async def test_a_walk_sees_each_job_once_while_others_come_and_go(store, order):
    call = Call(Principal("ann", "acme"), "sample")
    first = [(await store.submit(new_job(api="sample", queue=f"q{i % 3}", attributes={"colour": f"c{i % 2}"}))).job
             for i in range(20)]  # fmt: skip
    query = JobQuery(
        "sample", "acme", order=(order, *((Order("number"),) if order.field != "number" else ())),
        at_most_number=await store.read.newest_number(), limit=3,
    )  # fmt: skip
    seen = []
    async for page in pages(store, query):
        seen += [job.number for job in page]
        await store.submit(new_job(api="sample", queue="q0", attributes={"colour": "c0"}))
        # What was seen may go, and so may the very row a page ended with.
        if page:
            await delete_job(store, call, page[-1].number, force=True)
    assert sorted(seen) == [job.number for job in first]
