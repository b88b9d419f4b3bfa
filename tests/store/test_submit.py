"""Submit: each job once, with all that belongs to it, or not at all."""

import asyncio

import pytest

from jobyard_server.domain.event import EventType
from jobyard_server.domain.job import KeyReuse, LeaseLoss, NewSubjob, RetryPolicy
from jobyard_server.domain.reason import Reason
from jobyard_server.domain.state import Counters, Mode, State
from support.storing import key, new_job, pieces, refusal


async def test_what_is_submitted_is_what_is_read(store):
    job = new_job(
        api="sample",
        external_id="order-7",
        key=key("k"),
        definition="print",
        definition_version=3,
        queue="fast",
        priority=4,
        fair_key="ann",
        display_name="Print it",
        spec='{"a":  1.50}',
        attributes={"colour": "red", "size": 2**62},
        labels={"team": "blue"},
        subjobs=(NewSubjob('{"p": 1}', "left"), NewSubjob("null", "right", queue="slow")),
        retry=RetryPolicy(max_attempts=3, non_retryable=frozenset({"BAD"})),
        on_lease_loss=LeaseLoss.TIME_OUT,
        resumable=True,
        expires_after=60.0,
        request_id="r1",
    )
    submitted = (await store.submit(job)).job
    assert submitted == await store.read.job(submitted.number, api="sample", tenant="acme")
    assert (submitted.state, submitted.state_word) == (State.PENDING, "queued")
    assert submitted.counters == Counters(pending=2)
    for name in ("external_id", "definition", "queue", "priority", "spec", "attributes", "labels", "display_name"):
        assert getattr(submitted, name) == getattr(job, name)
    left, right = await store.read.subjobs(submitted.number)
    assert (left.ordinal, left.key, left.queue, left.payload) == (0, "left", "fast", '{"p": 1}')
    assert (right.ordinal, right.key, right.queue, right.payload) == (1, "right", "slow", "null")
    (event,) = await store.read.events(after=0, limit=10)
    assert (event.type, event.job, event.job_seq, event.state) == (
        EventType.JOB_SUBMITTED,
        submitted.number,
        1,
        State.PENDING,
    )
    assert (event.actor, event.request_id) == ("ann", "r1")


async def test_numbers_rise_without_gaps_while_nothing_is_refused(store):
    jobs = await asyncio.gather(*(store.submit(new_job()) for _ in range(50)))
    assert sorted(one.job.number for one in jobs) == list(range(1, 51))
    assert len({one.job.uid for one in jobs}) == 50


async def test_text_no_database_keeps_by_itself_is_kept(store):
    odd = "a\0b\x1ac\x1a0"
    job = new_job(
        tenant=odd,
        external_id=odd,
        display_name=odd,
        labels={"l": odd},
        api="sample",
        attributes={"colour": odd},
        queue=odd,
        key=key(odd),
    )
    submitted = (await store.submit(job)).job
    again = await store.read.job(odd, api="sample", tenant=odd)
    assert again == submitted
    assert (submitted.tenant, submitted.labels["l"], submitted.attributes["colour"]) == (odd, odd, odd)
    assert (await store.submit(job)).replayed


async def test_the_same_key_gets_the_same_job(store):
    first = await store.submit(new_job(key=key("k")))
    again = await store.submit(new_job(key=key("k"), spec='{"ignored": true}'))
    assert not first.replayed
    assert again.replayed
    assert not again.payload_differs
    assert again.job == first.job
    assert await store.read.newest_number() == 1


async def test_a_key_counts_within_its_api_and_tenant(store):
    jobs = [
        (await store.submit(new_job(api=api, tenant=tenant, key=key("k")))).job.number
        for api in ("jobs", "sample")
        for tenant in ("acme", "other")
    ]
    assert len(set(jobs)) == 4


async def test_another_body_under_a_used_key_is_refused_or_told(store):
    first = await store.submit(new_job(key=key("k", "one")))
    refused = await refusal(store.submit(new_job(key=key("k", "two"))))
    assert refused.reason is Reason.IDEMPOTENCY_KEY_REUSED
    assert refused.metadata["job"] == str(first.job.number)
    told = await store.submit(new_job(key=key("k", "two", reuse=KeyReuse.RETURN)))
    assert (told.job.number, told.replayed, told.payload_differs) == (first.job.number, True, True)


async def test_an_expired_key_is_free_again(store):
    first = await store.submit(new_job(key=key("k", "one", lifetime=0.0)))
    second = await store.submit(new_job(key=key("k", "two", lifetime=None)))
    assert second.job.number > first.job.number
    assert not second.replayed
    assert await store.forget_keys() == 0
    assert (await store.submit(new_job(key=key("k", "two")))).replayed


async def test_many_at_once_under_few_keys_make_few_jobs(store):
    answers = await asyncio.gather(*(store.submit(new_job(key=key(f"k{i % 20}"))) for i in range(200)))
    assert sum(not answer.replayed for answer in answers) == 20
    numbers = {}
    for i, answer in enumerate(answers):
        numbers.setdefault(i % 20, set()).add(answer.job.number)
    assert all(len(found) == 1 for found in numbers.values())


async def test_an_external_id_is_taken_once(store):
    first = await store.submit(new_job(external_id="x"))
    refused = await refusal(store.submit(new_job(external_id="x")))
    assert refused.reason is Reason.ALREADY_EXISTS
    assert refused.metadata == {"external_id": "x", "job": str(first.job.number)}
    await store.submit(new_job(external_id="x", tenant="other"))
    await store.submit(new_job(external_id="x", api="sample"))


async def test_the_loser_of_a_race_learns_the_winner(store):
    outcomes = await asyncio.gather(
        *(store.submit(new_job(external_id="x")) for _ in range(30)), return_exceptions=True
    )
    won = [one.job.number for one in outcomes if not isinstance(one, Exception)]
    lost = [one.refusal.metadata["job"] for one in outcomes if isinstance(one, Exception)]
    assert len(won) == 1
    assert lost == [str(won[0])] * 29


async def test_a_refused_job_leaves_its_key_free(store):
    await store.submit(new_job(external_id="x"))
    await refusal(store.submit(new_job(external_id="x", key=key("k"))))
    later = await store.submit(new_job(external_id="y", key=key("k")))
    assert not later.replayed


async def test_a_retried_request_is_a_replay_although_its_external_id_is_taken(store):
    job = new_job(external_id="x", key=key("k"))
    first = await store.submit(job)
    assert (await store.submit(job)).job.number == first.job.number


async def test_jobs_of_a_group_are_accepted_together_or_not_at_all(store):
    await store.submit(new_job(external_id="taken"))
    group = [new_job(external_id="a", key=key("a")), new_job(), new_job(external_id="taken")]
    refused = await refusal(store.submit_many(group))
    assert refused.reason is Reason.ALREADY_EXISTS
    assert refused.metadata["index"] == "2"
    assert await store.read.newest_number() == 1
    assert len(await store.read.events(after=0, limit=10)) == 1
    accepted = await store.submit_many(group[:2])
    assert [one.replayed for one in accepted] == [False, False]


async def test_a_refused_group_does_not_disturb_its_neighbours(store):
    await store.submit(new_job(external_id="taken"))
    bad = store.submit_many([new_job(key=key("shared"), external_id="n"), new_job(external_id="taken")])
    good = [store.submit(new_job(key=key("shared"), external_id=f"g{i}")) for i in range(5)]
    refused, *accepted = await asyncio.gather(refusal(bad), *good)
    assert refused.metadata["index"] == "1"
    assert [one.replayed for one in accepted] == [False, True, True, True, True]


async def test_a_large_group_is_written_whole(store):
    answers = await store.submit_many([new_job(subjobs=pieces(3)) for _ in range(700)])
    assert len(answers) == 700
    assert [one.ordinal for one in await store.read.subjobs(answers[-1].job.number)] == [0, 1, 2]
    assert len(await store.read.events(after=0, limit=1000)) == 700


@pytest.mark.parametrize(
    ("mode", "count", "split_complete", "state", "told"),
    [
        (Mode.ONCE, 0, True, State.SUCCEEDED, [State.PENDING, State.SUCCEEDED]),
        (Mode.ONCE, 0, False, State.PENDING, [State.PENDING]),
        (Mode.SCHEDULED, 0, True, State.RUNNING, [State.RUNNING]),
        (Mode.STANDING, 1, True, State.SUSPENDED, [State.SUSPENDED]),
    ],
)
async def test_a_job_starts_as_its_mode_says(store, mode, count, split_complete, state, told):
    job = (await store.submit(new_job(mode=mode, subjobs=pieces(count), split_complete=split_complete))).job
    assert job.state is state
    assert (job.finished_at is not None) == state.terminal
    assert [event.state for event in await store.read.events(after=0, limit=10)] == told
    assert job.last_event == len(told)
