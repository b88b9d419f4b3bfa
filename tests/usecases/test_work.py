"""What workers do: wait for work, keep it, end it, and log; and what users see of it."""

import asyncio
from dataclasses import replace

import pytest

from jobyard_server.domain.job import NewSubjob, Outcome
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.reason import Reason, Refusal
from jobyard_server.domain.state import State
from jobyard_server.usecases.acquire import WorkRequest, acquire
from jobyard_server.usecases.append_log import append_log
from jobyard_server.usecases.call import ALL_TENANTS, Call
from jobyard_server.usecases.heartbeat import heartbeat
from jobyard_server.usecases.list_attempts import list_attempts
from jobyard_server.usecases.list_subjobs import list_subjobs
from jobyard_server.usecases.ports import Directive, Settled
from jobyard_server.usecases.read_log import read_log
from jobyard_server.usecases.settle import Ending, settle
from support.storing import new_job, pieces, refusal

WORKER = Call(Principal("worker", "acme"), "jobs", every_api=True, request_id="w1")
WORK = WorkRequest("session-1", "host", ("default",))


async def taken(store, **changes):
    (lease,) = (await acquire(store, WORKER, replace(WORK, **changes))).leases
    return lease


async def log_of(store, call, *where, **how):
    return [chunk async for chunk in read_log(store, call, *where, **how)]


async def test_work_is_waited_for(store):
    waiting = asyncio.ensure_future(acquire(store, WORKER, replace(WORK, wait_seconds=60.0)))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    job = (await store.submit(new_job())).job
    (lease,) = (await asyncio.wait_for(waiting, 60)).leases
    assert lease.job.number == job.number


async def test_waiting_ends_in_time_with_nothing(store):
    clock = asyncio.get_running_loop().time
    begun = clock()
    assert (await acquire(store, WORKER, replace(WORK, wait_seconds=0.2))).leases == ()
    assert 0.15 < clock() - begun < 30.0


async def test_waiting_ends_with_nothing_when_the_server_stops(store):
    waiting = asyncio.ensure_future(acquire(store, WORKER, replace(WORK, wait_seconds=600.0)))
    await asyncio.sleep(0.05)
    store.end_waits()
    assert (await asyncio.wait_for(waiting, 30)).leases == ()
    assert (await asyncio.wait_for(acquire(store, WORKER, replace(WORK, wait_seconds=600.0)), 30)).leases == ()


async def test_each_piece_of_work_wakes_somebody(store):
    crowd = [
        asyncio.ensure_future(acquire(store, WORKER, replace(WORK, session=f"session-{i}", wait_seconds=60.0)))
        for i in range(10)
    ]
    await asyncio.sleep(0.05)
    await asyncio.gather(*(store.submit(new_job()) for _ in range(10)))
    got = await asyncio.wait_for(asyncio.gather(*crowd), 60)
    assert sorted(lease.job.number for one in got for lease in one.leases) == list(range(1, 11))


@pytest.mark.parametrize("round_", range(3))
async def test_no_work_is_slept_over(store, round_):
    async def submitting():
        for _ in range(40):
            await store.submit(new_job())
            await asyncio.sleep(0)

    done = 0

    async def working(name):
        nonlocal done
        while done < 40:
            leases = (await acquire(store, WORKER, replace(WORK, session=name, wait_seconds=60.0))).leases
            await settle(store, WORKER, [Ending(lease.token, Outcome.SUCCEEDED) for lease in leases])
            done += len(leases)
        # Whoever still waits is let go.
        await store.submit(new_job())

    # Nobody looks by himself before this is over.
    await asyncio.wait_for(asyncio.gather(submitting(), *(working(f"session-{i}") for i in range(3))), 50)


async def test_a_worker_gets_the_work_of_its_tenant(store, stranger):
    await store.submit(new_job())
    assert (await acquire(store, stranger, WORK)).leases == ()
    assert len((await acquire(store, WORKER, WORK)).leases) == 1


async def test_a_worker_for_all_gets_the_work_of_all(store):
    for_all = replace(WORKER, principal=Principal("w", "ops", permissions=frozenset({ALL_TENANTS})))
    await store.submit(new_job())
    await store.submit(new_job(tenant="other"))
    assert len((await acquire(store, for_all, replace(WORK, limit=5))).leases) == 2


async def test_a_worker_serves_only_the_queues_it_may(store):
    await store.submit(new_job(queue="mine"))
    bound = replace(WORKER, principal=replace(WORKER.principal, queues=frozenset({"mine"})))
    refused = await refusal(acquire(store, bound, replace(WORK, queues=("mine", "yours"))))
    assert refused.reason is Reason.PERMISSION_MISSING
    assert "'yours'" in refused.message
    assert len((await acquire(store, bound, replace(WORK, queues=("mine",)))).leases) == 1


async def test_a_beat_answers_for_every_lease(store):
    await store.submit(new_job())
    lease = await taken(store)
    beaten = await heartbeat(
        store, WORKER, "session-1", [lease.token, "1.9." + "0" * 24], messages={lease.token: "50 %"}
    )
    assert beaten.directives == (Directive.GO_ON, Directive.LOST)
    (subjob,) = await store.read.subjobs(lease.job.number)
    assert subjob.message == "50 %"


async def test_a_session_nobody_knows_cannot_beat(store):
    assert (await refusal(heartbeat(store, WORKER, "session-9", []))).reason is Reason.SESSION_UNKNOWN


async def test_leases_end_each_for_itself(store):
    job = (await store.submit(new_job(subjobs=pieces(3)))).job
    leases = (await acquire(store, WORKER, replace(WORK, limit=3))).leases
    endings = [
        Ending(leases[0].token, Outcome.SUCCEEDED, result='{"n": 1.0}', message="fine", exit_code=0),
        Ending("lost", Outcome.SUCCEEDED),
        Ending(leases[1].token, Outcome.FAILED, reason="EXIT_CODE", message="bad", exit_code=3),
        Ending(leases[2].token, Outcome.RELEASED),
    ]
    first, lost, second, third = await settle(store, WORKER, endings)
    assert isinstance(first, Settled)
    assert isinstance(lost, Refusal)
    assert lost.reason is Reason.LEASE_LOST
    assert (first.subjob_state, second.subjob_state, third.subjob_state) == (
        State.SUCCEEDED, State.FAILED, State.PENDING,
    )  # fmt: skip
    again = await settle(store, WORKER, endings[:1])
    assert (again[0].job, again[0].subjob_state) == (job.number, State.SUCCEEDED)
    done, failed, waiting = (await list_subjobs(store, WORKER, job.number)).subjobs
    assert (done.result, failed.reason, waiting.state) == ('{"n": 1.0}', "EXIT_CODE", State.PENDING)
    (attempt,) = await list_attempts(store, WORKER, job.number, 1)
    assert (attempt.outcome, attempt.exit_code, attempt.message) == (Outcome.FAILED, 3, "bad")


async def test_subjobs_are_paged(store, ann):
    job = (await store.submit(new_job(subjobs=pieces(7)))).job
    other = (await store.submit(new_job(subjobs=pieces(7)))).job
    found, token = [], ""
    while True:
        page = await list_subjobs(store, ann, job.number, size=3, token=token)
        found += [subjob.ordinal for subjob in page.subjobs]
        if not (token := page.next_page_token):
            break
        refused = await refusal(list_subjobs(store, ann, other.number, size=3, token=token))
        assert refused.reason is Reason.INVALID_PAGE_TOKEN
    assert found == list(range(7))


async def test_a_page_of_subjobs_is_no_more_than_a_client_can_receive(store, ann):
    sizes = (1_500_000, 1_500_000, 4_000_000, 10, 2_000_000)
    job = (await store.submit(new_job(subjobs=tuple(NewSubjob(f'"{"x" * size}"') for size in sizes)))).job
    found, token = [], ""
    while not found or token:
        page = await list_subjobs(store, ann, job.number, token=token)
        found.append([len(subjob.payload) - 2 for subjob in page.subjobs])
        token = page.next_page_token
    assert found == [[1_500_000, 1_500_000], [4_000_000], [10, 2_000_000]]


async def test_a_log_is_read_while_it_grows(store, ann):
    job = (await store.submit(new_job())).job
    lease = await taken(store)
    assert await append_log(store, WORKER, lease.token, 0, b"one ") == 4
    following = asyncio.ensure_future(log_of(store, ann, job.uid, 0, follow=True))
    await asyncio.sleep(0.05)
    await append_log(store, WORKER, lease.token, 4, b"two ")
    await asyncio.sleep(0.05)
    await append_log(store, WORKER, lease.token, 8, b"three")
    await settle(store, WORKER, [Ending(lease.token, Outcome.SUCCEEDED)])
    chunks = await asyncio.wait_for(following, 60)
    assert b"".join(chunk.data for chunk in chunks) == b"one two three"
    assert [chunk.offset for chunk in chunks] == [
        0,
        *(chunks[i].offset + len(chunks[i].data) for i in range(len(chunks) - 1)),
    ]


async def test_a_log_is_read_as_it_is_without_waiting(store, ann):
    job = (await store.submit(new_job())).job
    lease = await taken(store)
    assert await log_of(store, ann, job.number, 0) == []
    await append_log(store, WORKER, lease.token, 0, b"hello world")
    (chunk,) = await log_of(store, ann, job.number, 0, attempt=1, offset=6)
    assert (chunk.attempt, chunk.offset, chunk.data) == (1, 6, b"world")


async def test_a_long_log_comes_in_pieces(store, ann):
    job = (await store.submit(new_job())).job
    lease = await taken(store)
    for place in range(4):
        await append_log(store, WORKER, lease.token, place * 50_000, bytes([65 + place]) * 50_000)
    chunks = await log_of(store, ann, job.number, 0)
    assert all(len(chunk.data) <= 65_536 for chunk in chunks)
    assert b"".join(chunk.data for chunk in chunks) == b"".join(bytes([65 + i]) * 50_000 for i in range(4))


@pytest.mark.parametrize(
    ("ordinal", "attempt", "reason"),
    [(0, 0, Reason.ATTEMPT_NOT_FOUND), (0, 1, Reason.ATTEMPT_NOT_FOUND), (1, 0, Reason.SUBJOB_NOT_FOUND),
     (10**30, 0, Reason.SUBJOB_NOT_FOUND), (0, 10**30, Reason.ATTEMPT_NOT_FOUND),
     (0, -1, Reason.ATTEMPT_NOT_FOUND), (-1, 0, Reason.SUBJOB_NOT_FOUND)],
)  # fmt: skip
async def test_a_log_nobody_wrote_is_not_there(store, ann, ordinal, attempt, reason):
    job = (await store.submit(new_job())).job
    assert (await refusal(log_of(store, ann, job.number, ordinal, attempt=attempt))).reason is reason


async def test_the_log_of_another_tenant_is_not_there(store, stranger):
    job = (await store.submit(new_job())).job
    assert (await refusal(log_of(store, stranger, job.number, 0))).reason is Reason.JOB_NOT_FOUND
