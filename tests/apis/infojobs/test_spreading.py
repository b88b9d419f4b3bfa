"""The jobs of a type that is removed: gone before the call answers, but for those that were put again since."""

import pytest_asyncio

from jobyard_server.apis.infojobs import nouns
from jobyard_server.apis.infojobs.jobs import live_jobs
from jobyard_server.apis.infojobs.nouns import API, PUT_AT, InfoType
from jobyard_server.apis.infojobs.spreading import PAGE, TYPE_GONE, Spread, step
from jobyard_server.apis.infojobs.types import delete_type, put_type
from jobyard_server.domain.job import NewJob
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.state import Mode
from jobyard_server.store.store import Store
from jobyard_server.usecases.call import Call

CALL = Call(Principal("ann", "acme"), API)
JOBS = 2 * PAGE + 1


@pytest_asyncio.fixture
async def store(tmp_path):
    async with Store(f"sqlite:///{tmp_path}/jobs.db", fields={API: nouns.FIELDS}) as opened:
        await put_type(opened, CALL, InfoType("pm", "{}"))
        await opened.run(submit)
        yield opened


def submit(tx):
    for index in range(JOBS):
        tx.submit(
            NewJob(
                API,
                CALL.tenant,
                CALL.user,
                mode=Mode.STANDING,
                external_id=f"j{index}",
                definition="pm",
                queue=nouns.QUEUE,
                attributes={PUT_AT: tx.now},
                subjobs=(),
            )
        )


async def names(store):
    return [job.external_id for job in await live_jobs(store.read, CALL.tenant)]


async def test_the_jobs_of_a_type_are_gone_when_its_removal_is_answered(store):
    assert len(await names(store)) == JOBS
    await delete_type(store, CALL, "pm")
    assert await names(store) == []


async def test_a_job_that_was_put_since_stays(store):
    """A server died after the first page, and the type and its last job were put again before the rest was done."""

    def put_again(tx):
        job = tx.job(f"j{JOBS - 1}", api=API, tenant=CALL.tenant)
        tx.change_job(job, attributes={PUT_AT: tx.now})

    rest = await store.run(lambda tx: step(tx, CALL.tenant, Spread(TYPE_GONE, ("pm",), at=tx.now)))
    await store.run(put_again)
    while rest is not None:
        rest = await store.run(lambda tx, walk=rest: step(tx, CALL.tenant, walk))
    assert await names(store) == [f"j{JOBS - 1}"]
