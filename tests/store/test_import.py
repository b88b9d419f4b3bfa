"""Jobs moved over from another system keep their numbers, times and states."""

import pytest

from jobyard_server.domain.event import EventType
from jobyard_server.domain.job import KeyReuse
from jobyard_server.domain.reason import Reason
from jobyard_server.domain.state import TERMINAL, Counters, Mode, State, fold
from jobyard_server.usecases.ports import ImportedJob
from support.storing import key, new_job, pieces, refusal


def importing(store, number=None, state=State.SUCCEEDED, *, message="", created_at=None, updated_at=None, **changes):
    imported = ImportedJob(new_job(**changes), number, state, message, created_at, updated_at)
    return store.run(lambda tx: tx.import_job(imported))


async def read(store, number):
    return await store.read.job(number, api=None, tenant=None)


@pytest.mark.parametrize("state", State)
async def test_a_job_of_any_state_stands_as_it_stood(store, state):
    job = await importing(store, 500, state, message="as it was", created_at=1_000, updated_at=2_000, api="sample",
                          attributes={"colour": "red"}, external_id="old")  # fmt: skip
    assert job == await read(store, 500)
    assert (job.state, job.message, job.created_at, job.updated_at) == (state, "as it was", 1_000, 2_000)
    assert job.finished_at == (2_000 if state in TERMINAL else None)
    assert fold(job.mode, job.control, job.counters) is state
    (subjob,) = await store.read.subjobs(500)
    assert subjob.state is state
    (event,) = await store.read.events(after=0, limit=10)
    assert (event.type, event.job_seq, event.state) == (EventType.JOB_SUBMITTED, 1, state)


async def test_new_jobs_get_numbers_above_imported_ones(store):
    await importing(store, 500)
    assert (await store.submit(new_job())).job.number == 501
    assert (await importing(store)).number == 502


async def test_only_what_is_pending_runs(store, hand):
    for state in State:
        await importing(store, None, state)
    (lease,) = await hand.take(limit=50)
    assert lease.job.counters == Counters(running=1)


async def test_a_job_of_the_same_number_is_replaced(store):
    first = await importing(store, 7, State.PENDING, external_id="a", key=key("k"))
    second = await importing(store, 7, State.FAILED, external_id="a", key=key("k"), subjobs=pieces(2))
    assert (second.uid, second.revision, second.last_event) == (first.uid, 2, 2)
    assert (second.state, second.counters) == (State.FAILED, Counters(failed=2))
    assert await read(store, 7) == second
    assert len(await store.read.subjobs(7)) == 2
    events = await store.read.events(after=0, limit=10)
    assert [(event.type, event.job_seq) for event in events] == [
        (EventType.JOB_SUBMITTED, 1), (EventType.JOB_UPDATED, 2),
    ]  # fmt: skip


async def test_a_number_of_another_tenant_is_not_touched(store):
    mine = await importing(store, 7)
    refused = await refusal(importing(store, 7, tenant="other"))
    assert refused.reason is Reason.ALREADY_EXISTS
    assert await read(store, 7) == mine


async def test_a_number_used_before_goes_on_counting_events(store):
    await importing(store, 7)
    await store.run(lambda tx: tx.delete_job(tx.job(7, api=None, tenant=None), by="ann"))
    await importing(store, 7)
    assert [event.job_seq for event in await store.read.events(after=0, limit=10, job=7)] == [1, 2, 3]


async def test_identities_stay_unique(store):
    await importing(store, 1, external_id="a", key=key("k"))
    assert (await refusal(importing(store, 2, external_id="a"))).reason is Reason.ALREADY_EXISTS
    assert (await refusal(importing(store, 2, key=key("k")))).reason is Reason.IDEMPOTENCY_KEY_REUSED
    assert await read(store, 2) is None


async def test_a_key_moved_over_goes_on_to_answer(store):
    moved = await importing(store, 9, State.FAILED, key=key("k", reuse=KeyReuse.RETURN, lifetime=None))
    again = await store.submit(new_job(key=key("k", "other", reuse=KeyReuse.RETURN, lifetime=None)))
    assert (again.job, again.replayed, again.payload_differs) == (moved, True, True)


@pytest.mark.parametrize("number", [0, -1, 2**53 + 1, 2**63])
async def test_an_impossible_number_is_refused(store, number):
    refused = await refusal(importing(store, number))
    assert refused.reason is Reason.INVALID_FIELD
    assert refused.violations[0].field == "number"


@pytest.mark.parametrize(
    ("mode", "state", "count"),
    [(Mode.ONCE, State.RUNNING, 0), (Mode.ONCE, State.CANCELLING, 0), (Mode.STANDING, State.PENDING, 1)],
)
async def test_an_impossible_state_is_refused(store, mode, state, count):
    refused = await refusal(importing(store, 1, state, mode=mode, subjobs=pieces(count)))
    assert refused.violations[0].field == "state"


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("state", sorted(TERMINAL))
async def test_history_of_any_mode_is_kept(store, mode, state):
    assert (await importing(store, 1, state, mode=mode)).state is state
