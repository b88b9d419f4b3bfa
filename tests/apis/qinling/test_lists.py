"""Lists, which know no pages: whatever there is, as far as one answer holds it."""

import asyncio
import tempfile

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from jobyard.qinling.v1 import (
    alias_service_pb2,
    execution_service_pb2,
    function_service_pb2,
    job_calls_pb2,
    webhook_service_pb2,
)
from jobyard_server.apis.qinling import API, names, scope
from jobyard_server.apis.qinling.alias_service import FunctionAliasService
from jobyard_server.apis.qinling.execution_service import ExecutionService
from jobyard_server.apis.qinling.executions import new_execution
from jobyard_server.apis.qinling.function_service import FunctionService
from jobyard_server.apis.qinling.functions import AliasSpec, FunctionSpec, find_target
from jobyard_server.apis.qinling.job_service import JobService
from jobyard_server.apis.qinling.webhook_service import WebhookService
from jobyard_server.apis.registration import Options
from jobyard_server.domain.catalog import NewDefinition
from jobyard_server.domain.matching import matches
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.reason import Refused
from jobyard_server.rpc import caller
from jobyard_server.store.store import Store
from jobyard_server.usecases.call import ALL_TENANTS

PROJECTS = ("red", "red", "red", "blue", "blue", "blue", "red")


@given(st.sets(st.tuples(st.integers(0, 3), st.sampled_from("ab"), st.sampled_from("xyz"))), st.integers(1, 5))
def test_pages_leave_no_row_out_and_show_none_twice(rows, size):
    kept = [dict(zip(("created_at", "tenant", "id"), row, strict=True)) for row in sorted(rows, reverse=True)]

    async def read(behind):
        return [row for row in kept if behind is None or matches(behind, row.__getitem__)][:size]

    async def walk():
        return [row async for page in scope.pages(read, dict) for row in page]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scope, "PAGE", size)
        assert asyncio.run(walk()) == kept


def opened(url):
    return Store(url, words={names.API: API.words}, fields={names.API: API.fields})


def enter(tenant):
    caller.enter(caller.Caller(Principal("root", tenant, permissions=frozenset({ALL_TENANTS})), ""))


async def plant(store, tenant):
    """One of everything."""
    function, options = names.new_id(), Options()
    new = NewDefinition(
        names.API, tenant, "ann", function, kind=names.FUNCTION, queue="qinling/python", spec=FunctionSpec().text()
    )
    await store.run(lambda tx: tx.put_definition(new))
    spec = AliasSpec(names.new_id(), None, function, None, 0).text()
    for kind in (names.ALIAS, names.WEBHOOK):
        await store.run(lambda tx: tx.put_record(names.API, tenant, kind, names.new_id(), spec))
    target = await find_target(store.read, tenant, function_id=function, alias=None, version=None)
    await store.submit(new_execution(target, tenant, "ann", text=None, description="Made by Seven", sync=False))
    enter(tenant)
    request = job_calls_pb2.CreateJobRequest(function_id=function, pattern="* * * * *", count=1)
    await JobService(store, options).CreateJob(request, None)
    return function


@pytest_asyncio.fixture(scope="module", params=["sqlite", "postgresql"])
async def full(request):
    """A store with seven of everything, of two projects, and the identifiers of their functions."""
    with tempfile.TemporaryDirectory() as folder:
        postgres = request.param == "postgresql"
        url = request.getfixturevalue("cluster").new_database() if postgres else f"sqlite:///{folder}/lists.db"
        async with opened(url) as store:
            yield store, [await plant(store, tenant) for tenant in PROJECTS]


async def functions(store, **asked):
    request = function_service_pb2.ListFunctionsRequest(**asked)
    return list((await FunctionService(store, Options()).ListFunctions(request, None)).functions)


async def jobs(store, **asked):
    return list((await JobService(store, Options()).ListJobs(job_calls_pb2.ListJobsRequest(**asked), None)).jobs)


async def executions(store, **asked):
    request = execution_service_pb2.ListExecutionsRequest(**asked)
    return list((await ExecutionService(store, Options()).ListExecutions(request, None)).executions)


async def aliases(store, **asked):
    request = alias_service_pb2.ListFunctionAliasesRequest(**asked)
    return list((await FunctionAliasService(store, Options()).ListFunctionAliases(request, None)).function_aliases)


async def webhooks(store, **asked):
    request = webhook_service_pb2.ListWebhooksRequest(**asked)
    return list((await WebhookService(store, Options()).ListWebhooks(request, None)).webhooks)


def of(row):
    return row.function_id if "function_id" in row.DESCRIPTOR.fields_by_name else row.id


@pytest.mark.parametrize("size", [1, 2, 7, 200])
async def test_lists_show_everything_the_oldest_first(full, monkeypatch, size):
    store, made = full
    enter("red")
    monkeypatch.setattr(scope, "PAGE", size)
    for read in (functions, jobs, executions, aliases, webhooks):
        assert [of(row) for row in await read(store, all_projects=True)] == made
        assert [of(row) for row in await read(store)] == [*made[:3], made[6]]
        assert [of(row) for row in await read(store, project_id="has:LU")] == made[3:6]


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({"status": "running"}, 7),
        ({"status": "neq:running"}, 0),
        ({"status": "in:error,running"}, 7),
        ({"status": "nothing"}, 0),
        ({"description": "has:BY SEV"}, 7),
        ({"description": "has:m_de"}, 0),
        ({"description": "has:m%e"}, 0),
        ({"description": "made by seven"}, 0),
    ],
)
async def test_executions_are_filtered_before_they_are_counted(full, monkeypatch, asked, count):
    store, _ = full
    enter("red")
    monkeypatch.setattr(scope, "PAGE", 3)
    assert len(await executions(store, all_projects=True, **asked)) == count


@pytest.mark.parametrize("read", [functions, jobs, executions, aliases, webhooks])
async def test_an_answer_holds_the_newest(full, monkeypatch, read):
    store, made = full
    enter("red")
    size = (await read(store, all_projects=True))[-1].ByteSize()
    monkeypatch.setattr(scope, "ANSWER_BYTES", 2 * size + size // 2)
    assert [of(row) for row in await read(store, all_projects=True)] == made[-2:]


async def test_what_uses_a_function_is_found_behind_the_first_page(tmp_path, monkeypatch):
    monkeypatch.setattr(scope, "PAGE", 1)
    async with opened(f"sqlite:///{tmp_path}/used.db") as store:
        first, _ = [await plant(store, "red") for _ in range(2)]
        again = alias_service_pb2.CreateFunctionAliasRequest(name="again", function_id=first)
        with pytest.raises(Refused, match="Duplicate entry"):
            await FunctionAliasService(store, Options()).CreateFunctionAlias(again, None)
        for job in await jobs(store):
            await JobService(store, Options()).DeleteJob(job_calls_pb2.DeleteJobRequest(id=job.id), None)
        delete = function_service_pb2.DeleteFunctionRequest(id=first)
        with pytest.raises(Refused, match="associated with webhook"):
            await FunctionService(store, Options()).DeleteFunction(delete, None)
