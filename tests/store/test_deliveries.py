"""What is owed to somebody outside: order, replacement, claims, circuits, dead letters."""

import asyncio

import pytest
import pytest_asyncio

from jobyard_server.domain.delivery import Answer, Verdict
from jobyard_server.domain.reason import Reason
from jobyard_server.store.delivering import settle_deliveries
from jobyard_server.store.store import Store
from jobyard_server.usecases.ports import DeliveryResult
from support.delivering import (
    DEAD,
    DELIVERED,
    LATEST,
    READY,
    SENDING,
    SERVED,
    WAITING,
    claim,
    open_circuit,
    owe,
    owed,
    settle,
    states,
)
from support.storing import FakeClock, new_job, refusal

OTHER = "http://other.test/b"


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def open_store(url, clock):
    return lambda: Store(url, clock=clock)


@pytest_asyncio.fixture
async def store(open_store):
    async with open_store() as opened:
        yield opened


async def test_a_delivery_is_kept_as_it_was_owed(store):
    (made,) = await owe(store, owed(facts='{"a": 1.0}', job=7, tenant="t\0", lane="l\0\x1a", policy="quick"))
    assert (made.facts, made.tenant, made.lane, made.destination) == (
        '{"a": 1.0}', "t\0", "l\0\x1a", "http://peer.test:80",
    )  # fmt: skip
    assert (made.state, made.attempts, made.next_at) == (READY, 0, made.created_at)
    assert await store.read.delivery(made.uid) == made
    assert (await claim(store))[0].uid == made.uid


async def test_it_is_owed_only_if_its_transaction_commits(store):
    def change(tx):
        tx.deliver(owed())
        raise KeyError("changed my mind")

    with pytest.raises(KeyError):
        await store.run(change)
    assert await claim(store) == []


async def test_an_address_that_cannot_be_called_is_refused(store):
    refused = await refusal(owe(store, owed(address="ftp://peer.test/")))
    assert (refused.reason, refused.violations[0].field) == (Reason.INVALID_FIELD, "address")


async def test_of_a_lane_one_is_sent_after_the_other(store):
    await owe(store, *(owed(lane="a") for _ in range(3)), owed(lane="b"), owed(), owed())
    assert await states(store) == [READY, WAITING, WAITING, READY, READY, READY]
    first, *_ = await claim(store)
    await settle(store, first)
    assert await states(store) == [DELIVERED, READY, WAITING, SENDING, SENDING, SENDING]
    (second,) = await claim(store)
    await settle(store, second, Verdict.GIVE_UP)
    assert (await states(store))[:3] == [DELIVERED, DEAD, READY]


async def test_one_that_is_tried_again_keeps_its_place(store, clock):
    await owe(store, owed(lane="a"), owed(lane="a"))
    (first,) = await claim(store)
    await settle(store, first, Verdict.RETRY, retry_after=60.0)
    assert await claim(store) == []
    clock.pass_by(61)
    (again,) = await claim(store)
    assert (again.number, again.attempts) == (first.number, 2)


async def test_lanes_are_of_one_destination_tenant_and_api(store):
    await owe(
        store,
        *(owed(lane="a"), owed(lane="a", address=OTHER), owed(lane="a", tenant="t"), owed(lane="a", api="x")),
        *(owed(job=1), owed(job=1), owed(job=2)),
    )
    assert await states(store) == [READY, READY, READY, READY, READY, WAITING, READY]


async def test_the_latest_replaces_what_was_not_sent(store):
    await owe(store, owed(lane="a", ordering=LATEST, facts="1"), owed(lane="a", ordering=LATEST, facts="2"))
    (only,) = await claim(store)
    assert only.facts == "2"
    # What is being sent is not taken back; the next one waits for it.
    await owe(store, owed(lane="a", ordering=LATEST, facts="3"), owed(lane="a", ordering=LATEST, facts="4"))
    assert await states(store) == [SENDING, WAITING]
    await settle(store, only)
    assert [one.facts for one in await claim(store)] == ["4"]


async def test_it_replaces_its_own_kind_only_and_the_others_keep_their_order(store):
    await owe(
        store,
        owed(lane="a", kind="start", ordering=LATEST, facts="1"),
        owed(lane="a", kind="stop", facts="2"),
        owed(lane="a", kind="start", ordering=LATEST, facts="3"),
    )
    assert await states(store) == [READY, WAITING]
    sent = []
    while claimed := await claim(store):
        sent += [one.facts for one in claimed]
        await settle(store, claimed[0])
    assert sent == ["2", "3"]


async def test_a_later_time_is_waited_for(store, clock):
    made = await owe(store, owed(not_before=clock.wall_now + 5_000_000), owed(not_before=clock.wall_now - 5))
    assert [one.number for one in await claim(store)] == [made[1].number]
    assert await store.next_delivery() == 5.0
    clock.pass_by(5)
    assert [one.number for one in await claim(store)] == [made[0].number]
    assert await store.next_delivery() is None


async def test_a_destination_gets_no_more_than_it_takes(store):
    await owe(store, *(owed() for _ in range(20)), owed(address=OTHER))
    first = await claim(store, in_flight=3)
    assert [one.address for one in first].count(OTHER) == 1
    assert len(first) == 4
    assert await claim(store, in_flight=3) == []
    assert await store.next_delivery() is None
    await settle(store, next(one for one in first if one.address != OTHER))
    assert len(await claim(store, in_flight=3)) == 1


async def test_a_claim_takes_no_more_than_it_asks_for(store):
    await owe(store, *(owed() for _ in range(5)), *(owed(address=OTHER) for _ in range(5)))
    counts = [len(await claim(store, limit=3)) for _ in range(5)]
    assert counts == [3, 3, 3, 1, 0]


async def test_a_destination_that_fails_is_left_alone_and_the_others_are_not(store, clock):
    await open_circuit(store)
    (made,) = await owe(store, owed())
    # Whoever wants to wait for it sees that it will not leave at once.
    assert clock.wall_now < made.next_at <= clock.wall_now + 1_000_000
    assert await claim(store) == []
    await owe(store, owed(address=OTHER))
    assert [one.address for one in await claim(store)] == [OTHER]
    assert (await store.delivery_figures()).blocked == 1


async def test_it_is_tried_with_one_call_which_closes_the_circuit_or_keeps_it_open(store, clock):
    await open_circuit(store)
    await owe(store, *(owed() for _ in range(4)))
    clock.pass_by(1)
    (probe,) = await claim(store)
    assert await claim(store) == []
    await settle(store, probe, Verdict.RETRY, retry_after=0.0)
    clock.pass_by(0.5)
    assert await claim(store) == []
    clock.pass_by(2)
    (probe,) = await claim(store)
    await settle(store, probe)
    assert len(await claim(store)) == 3


async def test_a_channel_gets_through_while_its_host_is_blocked(store):
    await open_circuit(store)
    await owe(store, *(owed() for _ in range(3)))
    (made,) = await owe(store, owed(channel="supervision"))
    assert made.destination == "http://peer.test:80 supervision"
    assert [one.number for one in await claim(store)] == [made.number]


async def test_an_answer_that_says_no_is_an_answer(store):
    await owe(store, *(owed() for _ in range(20)))
    for _ in range(3):
        for one in await claim(store):
            await settle(store, one, Verdict.GIVE_UP, Answer(404))
    assert (await states(store)).count(DEAD) == 20


async def test_a_claim_that_ran_out_is_taken_over_and_its_result_refused(store, clock):
    (made,) = await owe(store, owed())
    (first,) = await claim(store, seconds=15)
    clock.pass_by(14)
    assert await store.release_deliveries() == 0
    await store.hold_deliveries([made.number], 15)
    clock.pass_by(14)
    assert await store.release_deliveries() == 0
    clock.pass_by(2)
    assert await store.release_deliveries() == 1
    (second,) = await claim(store)
    assert (second.uid, second.attempts) == (first.uid, 2)
    assert await settle(store, first) is None
    assert await states(store) == [SENDING]
    assert (await settle(store, second)).state is DELIVERED
    assert await settle(store, second) is None


async def test_what_is_claimed_together_with_its_change_is_not_claimed_by_others(store, clock):
    made = await owe(store, owed(lane="a", claimed=True), owed(lane="a", claimed=True))
    assert [one.state for one in made] == [SENDING, WAITING]
    assert made[0].attempts == 1
    assert await claim(store) == []
    await settle(store, made[0])
    assert [one.number for one in await claim(store)] == [made[1].number]
    # Nobody finished it: it is made all the same.
    (lost,) = await owe(store, owed(claimed=True))
    clock.pass_by(16)
    await store.release_deliveries()
    assert lost.number in {one.number for one in await claim(store)}


async def test_a_claim_is_not_granted_where_it_would_not_be_sent(store, clock):
    await open_circuit(store)
    (blocked,) = await owe(store, owed(claimed=True))
    (later,) = await owe(store, owed(claimed=True, address=OTHER, not_before=clock.wall_now + 1))
    assert (blocked.state, later.state) == (READY, READY)


async def test_a_batch_settles_each_once(store):
    await owe(store, *(owed() for _ in range(8)))
    claimed = await claim(store)
    results = await asyncio.gather(*(settle(store, one) for one in claimed), settle(store, claimed[0]))
    assert [one is None for one in results] == [False] * 8 + [True]


async def test_what_follows_from_an_end_is_written_with_it(store):
    job = (await store.submit(new_job())).job
    first, _ = await owe(store, owed(), owed(address=OTHER))

    def ended(tx, delivery, answer):
        assert (delivery.state, answer.status) == (DELIVERED, 204)
        tx.change_job(tx.job(job.number, api=None, tenant=None), message=f"told {delivery.number}")
        tx.deliver(owed(facts="again", not_before=tx.now + 1_000_000))

    await claim(store)
    assert (await settle(store, await store.read.delivery(first.uid), settled=ended)).state is DELIVERED
    assert (await store.read.job(job.number, api=None, tenant=None)).message == f"told {first.number}"
    assert await states(store) == [DELIVERED, SENDING, READY]


async def test_an_end_that_fails_harms_no_neighbour_and_stays_open(store):
    def broken(tx, delivery, answer):
        tx.deliver(owed(facts="never"))
        raise KeyError("mine")

    await owe(store, *(owed() for _ in range(6)))
    claimed = await claim(store)
    results = await asyncio.gather(
        *(settle(store, one, **({"settled": broken} if index == 2 else {})) for index, one in enumerate(claimed)),
        return_exceptions=True,
    )
    assert [isinstance(one, KeyError) for one in results] == [False, False, True, False, False, False]
    assert await states(store) == [DELIVERED, DELIVERED, SENDING, DELIVERED, DELIVERED, DELIVERED]


async def test_no_end_is_told_while_it_is_tried_again(store):
    await owe(store, owed())
    told = []
    (one,) = await claim(store)
    await settle(store, one, Verdict.RETRY, settled=lambda *_: told.append(1))
    assert told == []


async def test_what_follows_from_one_finds_the_others_being_sent(store):
    """Of results that are written down together each counts with what follows from it, and no sooner."""
    await owe(store, owed(lane="looked after"), owed(lane="told", kind="start"))
    looked, told = await claim(store)
    seen = []

    def look(tx, *_):
        seen.append(tx.sending("jobs", "acme", "told", "start"))

    ends = [(looked, look), (told, look)]
    results = [DeliveryResult(one.number, one.attempts, Verdict.DONE, SERVED, settled=end) for one, end in ends]
    await store.run(lambda tx: settle_deliveries(tx._unit, results))
    assert seen == [True, False]
    assert await states(store) == [DELIVERED, DELIVERED]


async def test_a_dead_letter_is_sent_again_under_its_name(store, clock):
    made = await owe(store, owed(lane="a"), owed(lane="a"))
    (first,) = await claim(store)
    await settle(store, first, Verdict.GIVE_UP)
    dead = await store.read.deliveries(tenant="acme", state=DEAD)
    assert [one.last_error for one in dead] == ["broke"]
    redriven = await store.run(lambda tx: tx.redrive(first.uid, "acme"))
    # It came first once; now it waits for what has taken its place.
    assert (redriven.uid, redriven.state, redriven.attempts) == (first.uid, WAITING, 0)
    (second,) = await claim(store)
    assert second.number == made[1].number
    await settle(store, second)
    assert [one.uid for one in await claim(store)] == [first.uid]


async def test_only_the_dead_of_ones_own_tenant_are_sent_again(store):
    (made,) = await owe(store, owed())
    assert (await refusal(store.run(lambda tx: tx.redrive(made.uid, "acme")))).reason is Reason.STATE_CONFLICT
    assert await store.run(lambda tx: tx.redrive(made.uid, "other")) is None
    assert await store.run(lambda tx: tx.redrive("no-such", None)) is None
    (one,) = await claim(store)
    await settle(store, one, Verdict.GIVE_UP)
    assert (await store.run(lambda tx: tx.redrive(made.uid, None))).state is READY


async def test_what_nobody_wants_dead_is_gone(store):
    await owe(store, owed())
    (one,) = await claim(store)
    assert (await settle(store, one, Verdict.GIVE_UP, keep_dead=False)).state is DEAD
    assert await states(store) == []


async def test_a_credential_does_not_outlive_its_delivery(store):
    await owe(store, owed(credential="sealed"), owed(credential="sealed"), owed(credential="sealed"))
    one, two, three = await claim(store)
    ends = [
        await settle(store, one),
        await settle(store, two, Verdict.GIVE_UP),
        await settle(store, three, Verdict.RETRY),
    ]
    assert [end.credential for end in ends] == ["", "", "sealed"]
    found = await store.read.deliveries(tenant=None, oldest_first=True)
    assert [end.credential for end in found] == ["", "", "sealed"]


async def test_what_is_not_begun_can_be_taken_back(store):
    await owe(store, *(owed(lane="a", kind=kind) for kind in ("start", "stop", "start", "poll")), owed(lane="b"))
    assert await store.run(lambda tx: tx.withdraw("jobs", "acme", "a", frozenset({"start"}))) == 2
    assert await states(store) == [READY, WAITING, READY]
    assert await store.run(lambda tx: tx.withdraw("jobs", "acme", "a")) == 2
    assert await store.run(lambda tx: tx.withdraw("jobs", "acme", "a")) == 0
    assert [one.lane for one in await claim(store)] == ["b"]
    # What is being sent ends as it ends.
    assert await store.run(lambda tx: tx.withdraw("jobs", "acme", "b")) == 0


async def test_whoever_sends_is_woken_and_loses_no_wake_up(store):
    assert await claim(store) == []
    waiting = asyncio.ensure_future(store.owed(600))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await owe(store, owed())
    async with asyncio.timeout(60):
        await waiting
        # Nobody looked yet, so it is not waited for again.
        await store.owed(600)
    await claim(store)


async def test_what_ended_long_ago_is_forgotten(store, clock):
    await owe(store, *(owed() for _ in range(3)))
    one, two, _ = await claim(store)
    await settle(store, one)
    await settle(store, two, Verdict.GIVE_UP)
    clock.pass_by(100)
    assert await store.forget_deliveries(101, 101) == 0
    assert await store.forget_deliveries(99, 101) == 1
    assert await states(store) == [DEAD, SENDING]
    assert await store.forget_deliveries(99, 99) == 1
    assert await states(store) == [SENDING]


async def test_figures(store, clock):
    await owe(store, owed(), owed(address=OTHER))
    clock.pass_by(7)
    assert (await store.delivery_figures()).lag == 7.0
    one, _ = await claim(store)
    await settle(store, one, Verdict.GIVE_UP)
    figures = await store.delivery_figures()
    assert (figures.lag, figures.dead, figures.blocked) == (0, 1, 0)


async def test_lists_are_narrowed_and_paged(store):
    made = await owe(store, owed(job=1), owed(job=1, api="x"), owed(job=2), owed(tenant="t", job=1))
    read = store.read.deliveries

    async def numbers(**asked):
        return [made.index(one) for one in await read(**{"tenant": None, **asked})]

    assert await numbers() == [3, 2, 1, 0]
    assert await numbers(oldest_first=True) == [0, 1, 2, 3]
    assert await numbers(tenant="acme", job=1) == [1, 0]
    assert await numbers(api="x") == [1]
    assert await numbers(after=made[2].number, limit=1) == [1]
    assert await numbers(after=made[2].number, oldest_first=True) == [3]
    assert await numbers(state=DEAD) == []
