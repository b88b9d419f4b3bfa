"""How lists are read: by seeking in an index of their own, with nothing sorted and nothing skipped."""

import re

import pytest

from jobyard_server.domain.fields import ApiFields, Kind
from jobyard_server.domain.filter import All, Comparison, Op
from jobyard_server.store import query_definitions
from jobyard_server.store.dialect import SQLITE
from jobyard_server.store.query import JobQueries, job_statements
from jobyard_server.store.store import Store
from jobyard_server.usecases.ports import DefinitionQuery, JobQuery, Order
from support.storing import new_job

pytestmark = pytest.mark.only("sqlite")

QUERIES = JobQueries({"sample": ApiFields({"colour": Kind.TEXT, "size": Kind.INT}, indexed=("colour", "size"))}, SQLITE)
RED = Comparison("colour", Op.EQ, "red")
MOVING_FIELDS = {
    "sample": ApiFields(
        {"colour": Kind.TEXT}, indexed=("state_word", "updated_at", "colour"), finders=frozenset({"colour"})
    )
}
MOVING = JobQueries(MOVING_FIELDS, SQLITE)
BUSY = Comparison("state_word", Op.EQ, "busy")
NEWEST = (Order("updated_at", descending=True), Order("number", descending=True))


async def plan(store, statement):
    """The steps of a query as the database would take them."""
    return await store.read.many(f"EXPLAIN QUERY PLAN {statement.sql}", statement.parameters, lambda row: row[3])


@pytest.fixture
async def filled(store):
    for index in range(50):
        await store.submit(new_job(api="sample", attributes={"colour": f"c{index % 5}", "size": index}))
    return store


@pytest.mark.parametrize(
    ("query", "steps"),
    [
        (JobQuery("sample", "acme"), ["ix_jobs_of_sample (tenant=?)"]),
        (JobQuery("sample", "acme", after=(9,)), ["ix_jobs_of_sample (tenant=? AND number<?)"]),
        (JobQuery("sample", "acme", RED), ["ix_jobs_of_sample_colour (tenant=? AND <expr>=?)"]),
        (
            JobQuery("sample", "acme", RED, after=(9,)),
            ["ix_jobs_of_sample_colour (tenant=? AND <expr>=? AND number<?)"],
        ),
        (
            JobQuery("sample", "acme", All((RED, Comparison("state", Op.EQ, "FAILED"))), at_most_number=40),
            ["ix_jobs_of_sample_colour (tenant=? AND <expr>=?)"],
        ),
        (
            JobQuery("sample", "acme", Comparison("size", Op.GT, 7), order=(Order("size"), Order("number"))),
            ["ix_jobs_of_sample_size (tenant=? AND <expr>>?)"],
        ),
        (
            JobQuery("sample", "acme", order=(Order("colour"), Order("number")), at_most_number=40),
            ["ix_jobs_of_sample_colour (tenant=?)"],
        ),
        (
            JobQuery("sample", "acme", order=(Order("colour"), Order("number")), after=("c1", 9), at_most_number=40),
            [
                "ix_jobs_of_sample_colour (tenant=? AND <expr>=? AND number>?)",
                "ix_jobs_of_sample_colour (tenant=? AND <expr>>?)",
            ],
        ),
        (
            JobQuery(
                "sample", "acme", order=(Order("size", descending=True), Order("number", descending=True)), after=(3, 9)
            ),
            [
                "ix_jobs_of_sample_size (tenant=? AND <expr>=? AND number<?)",
                "ix_jobs_of_sample_size (tenant=? AND <expr><?)",
            ],
        ),
        (JobQuery(None, "acme", after=(9,)), ["ix_jobs_tenant (tenant=? AND number<?)"]),
        (
            JobQuery(None, "acme", order=(Order("created_at", descending=True),), at_most_number=40),
            ["ix_jobs_created_at (tenant=?)"],
        ),
        (
            JobQuery(None, "acme", order=(Order("created_at"),), after=(7, 9)),
            [
                "ix_jobs_created_at (tenant=? AND created_at=? AND number>?)",
                "ix_jobs_created_at (tenant=? AND created_at>?)",
            ],
        ),
        (JobQuery(None, "acme", Comparison("parent", Op.EQ, 7)), ["ix_jobs_parent (parent=?)"]),
        (
            JobQuery("jobs", None, Comparison("parent", Op.EQ, 7), after=(9,)),
            ["ix_jobs_parent (parent=? AND number<?)"],
        ),
    ],
)
async def test_a_page_is_a_seek(filled, query, steps):
    found = [await plan(filled, statement) for statement in QUERIES.pages(query)]
    assert [re.sub("SEARCH jobs USING (COVERING )?INDEX ", "", *one) for one in found] == steps


@pytest.mark.parametrize(
    ("query", "seek"),
    [
        (JobQuery("sample", "acme", BUSY), "ix_standings_of_sample_state_word (tenant=? AND state_word=?)"),
        (
            JobQuery("sample", "acme", BUSY, after=(9,), at_most_number=40),
            "ix_standings_of_sample_state_word (tenant=? AND state_word=? AND number<?)",
        ),
        (JobQuery("sample", "acme", order=NEWEST), "ix_standings_of_sample_updated_at (tenant=?)"),
        (JobQuery("sample", "acme", BUSY, order=NEWEST), "ix_standings_of_sample_updated_at (tenant=?)"),
    ],
)
async def test_a_page_by_what_changes_is_a_seek_and_a_look_at_each_job(url, query, seek):
    async with Store(url, fields=MOVING_FIELDS) as store:
        for _ in range(50):
            await store.submit(new_job(api="sample"))
        for statement in MOVING.pages(query):
            first, second = await plan(store, statement)
            assert re.fullmatch(rf"SEARCH standings USING (COVERING )?INDEX {re.escape(seek)}", first)
            assert second == "SEARCH jobs USING INTEGER PRIMARY KEY (rowid=?)"


async def test_what_finds_a_few_jobs_goes_before_any_order(url):
    query = JobQuery("sample", "acme", All((BUSY, RED)), order=NEWEST)
    async with Store(url, fields=MOVING_FIELDS) as store:
        (statement,) = MOVING.pages(query)
        first, *_ = await plan(store, statement)
    assert first == "SEARCH jobs USING INDEX ix_jobs_of_sample_colour (tenant=? AND <expr>=?)"


@pytest.mark.parametrize(
    ("ref", "api", "indexes"),
    [(7, None, ["INTEGER PRIMARY KEY"]), ("u", None, ["uid"]), ("x", "sample", ["external_id", "uid"])],
)
async def test_one_job_is_a_seek(filled, ref, api, indexes):
    statements = job_statements(ref, api, "acme")
    for statement, index in zip(statements, indexes, strict=True):
        (step,) = await plan(filled, statement)
        assert step.startswith("SEARCH jobs USING")
        assert index in step


async def test_definitions_are_listed_by_name_without_sorting(filled):
    query = DefinitionQuery("sample", "acme", "book", {}, order=(Order("display_name"),))
    (step,) = await plan(filled, query_definitions.page(query, SQLITE))
    assert "ix_definitions_name (api=? AND tenant=? AND kind=?)" in step
