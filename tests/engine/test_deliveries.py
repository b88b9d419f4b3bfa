"""The sender with real peers: a bad one delays nobody else, nothing is lost, ends are written with what follows."""

import asyncio
import time
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
import pytest_asyncio

from jobyard_server.domain.delivery import Answer, DeliveryPolicy, HttpCall, NewDelivery, Problem, Verdict
from jobyard_server.domain.job import NewSubjob
from jobyard_server.domain.reason import invalid
from jobyard_server.domain.state import Actor, Mode, State
from jobyard_server.engine.deliveries import Bounds, Context, Sender
from jobyard_server.outbound.client import HttpClient
from jobyard_server.outbound.policy import LOOPBACK, AddressPolicy
from jobyard_server.outbound.token_file import TokenFile
from jobyard_server.store.store import Store
from jobyard_server.usecases.credentials import seal_credential
from jobyard_server.usecases.deliver_now import deliver_now
from jobyard_server.usecases.ports import DeliveryKind
from support.delivering import DEAD, DELIVERED, states
from support.peers import FAILED, OK, break_off, hang, listening, nobody_listens, redirect, reply
from support.storing import new_job

QUICK = DeliveryPolicy(attempts=4, first_wait=0.02, max_wait=0.1, timeout=2.0)


@pytest_asyncio.fixture
async def store(url):
    """A store on the clock of the machine: peers answer in real time."""
    async with Store(url) as opened:
        yield opened


async def plain(delivery, _context):
    """Sends the facts as they are."""
    return HttpCall("POST", delivery.address, body=delivery.facts.encode())


def kind(render=plain, policy=QUICK, **changes):
    return DeliveryKind(render=render, policies={"": policy}, **changes)


@asynccontextmanager
async def sending(store, bounds=None, told=None, **kinds):
    """A sender at work; it loops as the supervisor would have it."""
    peers = HttpClient(AddressPolicy(LOOPBACK), TokenFile(None))
    peers.open()
    known = {("jobs", word): made for word, made in {"call": kind(), **kinds}.items()}
    context = Context(store, lambda message, face: f"{face}:{message}".encode())
    sender = Sender(store, known, peers, context, bounds, *([told] if told else []))

    async def loop():
        while True:
            await sender.step()

    task = asyncio.create_task(loop())
    try:
        yield sender
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await sender.stop(1)
        await peers.close()


def owed(peer_or_url, **changes):
    address = getattr(peer_or_url, "url", peer_or_url)
    return NewDelivery(**{"api": "jobs", "tenant": "acme", "kind": "call", "address": f"{address}/x", **changes})


async def owe(store, *deliveries):
    return await store.run(lambda tx: [tx.deliver(one) for one in deliveries])


async def ended(store, made, seconds=60.0):
    """A delivery once it has ended."""
    async with asyncio.timeout(seconds):
        while (found := await store.read.delivery(made.uid)).state not in {DELIVERED, DEAD}:
            await asyncio.sleep(0.01)
    return found


async def test_what_is_owed_is_sent_once(store):
    async with listening() as peer, sending(store):
        (made,) = await owe(store, owed(peer, facts='{"a":1}'))
        assert (await ended(store, made)).attempts == 1
        await asyncio.sleep(0.1)
        assert [(one.body, one.headers["idempotency-key"]) for one in peer.requests] == [(b'{"a":1}', made.uid)]


@pytest.mark.parametrize("bad", [FAILED, hang, break_off])
async def test_a_failing_peer_is_tried_again_under_one_name_with_longer_waits(store, bad):
    # Without an end: on a busy machine also a call that is answered may take too long.
    policy = DeliveryPolicy(attempts=0, first_wait=0.1, multiplier=3, max_wait=5, jitter=0.2, timeout=0.2)
    async with listening(bad) as peer, sending(store, call=kind(policy=policy)):
        (made,) = await owe(store, owed(peer))
        await peer.until(3)
        peer.behaviour = OK
        found = await ended(store, made)
    assert (found.state, found.last_error) == (DELIVERED, "")
    assert found.attempts == len(peer.requests) >= 4
    assert set(peer.uids()) == {made.uid}
    times = [one.at for one in peer.requests[:4]]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert all(gap >= least for gap, least in zip(gaps, (0.08, 0.24, 0.72), strict=True)), gaps


async def test_one_that_never_succeeds_is_dead_and_says_why(store):
    async with listening(FAILED) as peer, sending(store):
        (made,) = await owe(store, owed(peer))
        found = await ended(store, made)
        assert (found.state, found.attempts, found.last_status, found.last_error) == (DEAD, 4, 500, "HTTP 500")
        assert len(peer.requests) == 4
        peer.behaviour = OK
        await store.run(lambda tx: tx.redrive(made.uid, None))
        assert (await ended(store, made)).state is DELIVERED
        assert set(peer.uids()) == {made.uid}


async def test_a_redirect_is_not_followed(store):
    async with listening() as inside, listening(redirect(inside.url)) as peer, sending(store):
        (made,) = await owe(store, owed(peer))
        assert (await ended(store, made)).last_status == 302
    assert inside.requests == []


async def test_a_private_address_is_given_up_at_once(store):
    async with sending(store):
        (made,) = await owe(store, owed("http://10.255.255.1"))
        found = await ended(store, made)
    assert (found.state, found.attempts) == (DEAD, 1)
    assert "not public" in found.last_error
    assert (await store.delivery_figures()).blocked == 0


async def test_bad_peers_delay_nobody_else(store):
    async with listening(hang) as hanging, listening(break_off) as broken, listening() as well, sending(store):
        nobody = await nobody_listens()
        for bad in (hanging, broken, nobody):
            await owe(store, *(owed(bad, lane=f"l{number}") for number in range(100)))
        delays = []
        for number in range(50):
            began = time.monotonic()
            (made,) = await owe(store, owed(well, facts=str(number)))
            await ended(store, made)
            delays.append(time.monotonic() - began)
        # Behind the bad ones it would be minutes.
        assert max(delays) < 20.0
        # Its circuit is open: after the first failures it is only probed.
        assert hanging.connections <= 12


async def test_a_lane_arrives_in_order_though_its_peer_fails_now_and_then(store):
    count = 0

    async def moody(request, writer):
        nonlocal count
        count += 1
        await (FAILED if count % 3 == 0 else OK)(request, writer)

    policy = DeliveryPolicy(attempts=0, first_wait=0.005, max_wait=0.02)
    async with listening(moody) as peer, sending(store, call=kind(policy=policy)):
        made = [(await owe(store, owed(peer, lane=f"l{number % 3}", facts=str(number))))[0] for number in range(30)]
        for one in made:
            await ended(store, one)
    seen = list(dict.fromkeys(int(one.body) for one in peer.requests))
    for lane in range(3):
        assert [number for number in seen if number % 3 == lane] == list(range(lane, 30, 3))


async def test_no_more_than_its_share_goes_to_one_destination_and_in_all(store):
    async def slow(request, writer):
        await asyncio.sleep(0.05)
        await OK(request, writer)

    async with (
        listening(slow) as one,
        listening(slow) as two,
        sending(store, Bounds(in_flight=3, total=4)) as sender,
    ):
        made = await owe(store, *(owed(peer) for peer in (one, two) for _ in range(12)))
        most = 0
        while not all(state is DELIVERED for state in await states(store)):
            most = max(most, sender.sending)
            await asyncio.sleep(0.002)
    assert len(made) == 24
    assert max(one.most_busy, two.most_busy) <= 3
    assert most == 4


async def test_a_peer_that_asks_to_be_left_alone_is(store):
    policy = DeliveryPolicy(first_wait=0.01, max_wait=5)
    async with listening(reply(503, Retry_After="1")) as peer, sending(store, call=kind(policy=policy)):
        (made,) = await owe(store, owed(peer))
        await peer.until(1)
        peer.behaviour = OK
        await ended(store, made)
    assert peer.requests[1].at - peer.requests[0].at >= 0.95


async def test_one_that_is_too_old_is_not_sent(store):
    policy = DeliveryPolicy(attempts=0, first_wait=0.3, max_wait=0.3, jitter=0, max_age=0.2)
    async with listening(FAILED) as peer, sending(store, call=kind(policy=policy)):
        (made,) = await owe(store, owed(peer))
        found = await ended(store, made)
    assert (found.state, len(peer.requests)) == (DEAD, 1)


async def test_the_body_is_made_when_it_is_sent(store):
    job = (await store.submit(new_job(display_name="old"))).job

    async def render(delivery, context):
        found = await context.read.job(delivery.job, api=None, tenant=None)
        return None if found is None else HttpCall("PUT", delivery.address, body=context.json(found.message, "face"))

    async with listening(FAILED) as peer, sending(store, call=kind(render)):
        (made,) = await owe(store, owed(peer, job=job.number))
        await peer.until(1)
        await store.run(lambda tx: tx.change_job(tx.job(job.number, api=None, tenant=None), message="newest"))
        peer.behaviour = OK
        await ended(store, made)
        assert peer.requests[-1].body == b"face:newest"
        (gone,) = await owe(store, owed(peer, job=999))
        assert (await ended(store, gone)).state is DELIVERED
        assert len(peer.requests) == len([one for one in peer.requests if one.headers["idempotency-key"] == made.uid])


async def test_a_call_that_cannot_be_made_up_is_dead(store):
    async def refuses(_delivery, _context):
        raise invalid("facts", "mean nothing")

    async def fails(_delivery, _context):
        raise ZeroDivisionError

    async with sending(store, refuses=kind(refuses), fails=kind(fails)):
        made = await owe(store, *(owed("http://127.0.0.1:1", kind=word) for word in ("refuses", "fails", "unknown")))
        found = [await ended(store, one) for one in made[:2]]
        async with asyncio.timeout(60):
            while not (unknown := await store.read.delivery(made[2].uid)).last_error:
                await asyncio.sleep(0.01)
    assert [(one.state, one.attempts) for one in found] == [(DEAD, 1), (DEAD, 4)]
    assert found[0].last_error == "facts: mean nothing"
    assert "ZeroDivisionError" in found[1].last_error
    # What another version of the server may know again is not given up at once.
    assert unknown.state is not DEAD


async def test_a_credential_is_shown_until_its_time_is_over(store):
    async def render(delivery, context):
        return HttpCall("POST", delivery.address, {"Authorization": context.credential(delivery)})

    now = time.time_ns() // 1000
    sealed = [seal_credential(store.signer, "Bearer abc", until) for until in (now + 60_000_000, now - 1)]
    assert "abc" not in sealed[0]
    async with listening() as peer, sending(store, call=kind(render)):
        for one in [*sealed, "", "damaged"]:
            (made,) = await owe(store, owed(peer, credential=one))
            assert (await ended(store, made)).credential == ""
    assert [one.headers["authorization"] for one in peer.requests] == ["Bearer abc", "", "", ""]


async def test_what_an_end_means_is_written_with_it(store):
    """As an API does whose executors are reached by push: accepted, a subjob runs the generation it was told of."""
    job = (await store.submit(new_job(mode=Mode.STANDING, subjobs=(NewSubjob(key="p"),)))).job

    def settled(tx, delivery, answer):
        (subjob,) = tx.subjobs(delivery.job)
        if delivery.state is DELIVERED:
            tx.accept_subjob(subjob, int(delivery.facts))
        else:
            tx.change_subjob(subjob, State.FAILED, actor=Actor.ENGINE, reason="REFUSED", message=delivery.last_error)

    async def state():
        return (await store.read.job(job.number, api=None, tenant=None)).state

    async with listening() as peer, sending(store, call=kind(settled=settled)):
        assert await state() is State.SUSPENDED
        (made,) = await owe(store, owed(peer, job=job.number, facts="1"))
        await ended(store, made)
        assert await state() is State.RUNNING
        await store.run(lambda tx: tx.change_job(tx.job(job.number, api=None, tenant=None), generation=2))
        assert await state() is State.SUSPENDED
        (made,) = await owe(store, owed(peer, job=job.number, facts="2"))
        await ended(store, made)
        assert await state() is State.RUNNING
        peer.behaviour = FAILED
        (made,) = await owe(store, owed(peer, job=job.number, facts="3"))
        await ended(store, made)
        assert await state() is State.SUSPENDED


async def test_a_kind_that_owes_itself_again_polls(store):
    def settled(tx, delivery, answer):
        if answer.body != b"finished":
            tx.deliver(owed(delivery.destination, kind="poll", lane="p", not_before=tx.now + 20_000))

    async def get(delivery, _context):
        return HttpCall("GET", delivery.address)

    async with listening(reply(200, b"running")) as peer, sending(store, poll=kind(get, settled=settled)):
        await owe(store, owed(peer, kind="poll", lane="p"))
        await peer.until(4)
        peer.behaviour = reply(200, b"finished")
        seen = len(await peer.until(5))
        async with asyncio.timeout(60):
            while set(await states(store)) != {DELIVERED}:
                await asyncio.sleep(0.01)
        assert len(peer.requests) <= seen + 1


async def test_an_end_that_cannot_be_written_down_is_kept_for_an_operator(store):
    def settled(_tx, _delivery, _answer):
        raise ZeroDivisionError

    async with listening() as peer, sending(store, call=kind(settled=settled, keep_dead=False)):
        (made,) = await owe(store, owed(peer))
        found = await ended(store, made)
    assert (found.state, len(peer.requests)) == (DEAD, 1)
    assert "ZeroDivisionError" in found.last_error


async def test_a_call_waits_for_its_deliveries(store):
    async with listening() as peer, listening(FAILED) as bad, sending(store) as sender:
        made = await owe(store, owed(peer, claimed=True), owed(bad, claimed=True), owed(peer))
        found = await deliver_now(sender, made, 60.0)
        assert [one.state for one in found] == [DELIVERED, DEAD, DELIVERED]
        assert [one.uid for one in found] == [one.uid for one in made]
        # Asked again, it knows.
        assert [one.state for one in await deliver_now(sender, found, 60.0)] == [DELIVERED, DEAD, DELIVERED]
        assert await deliver_now(sender, [], 3.0) == []
        assert await deliver_now(None, made, 3.0) == made


async def test_but_not_longer_than_it_may(store):
    go_on = asyncio.Event()

    async def slow(request, writer):
        await go_on.wait()
        await OK(request, writer)

    patient = kind(policy=DeliveryPolicy(timeout=100.0))
    async with listening(slow) as slowly, listening() as peer, sending(store, slow=patient) as sender:
        made = await owe(store, owed(slowly, claimed=True, kind="slow"), owed(peer, claimed=True))
        began = time.monotonic()
        found = await deliver_now(sender, made, 1.0)
        assert 0.9 < time.monotonic() - began < 30.0
        assert [one.state for one in found] == [made[0].state, DELIVERED]
        # It goes on in the background.
        go_on.set()
        assert (await ended(store, made[0])).state is DELIVERED


async def test_what_cannot_leave_in_time_is_not_waited_for(store):
    async with sending(store, call=kind(policy=DeliveryPolicy(attempts=0, first_wait=0.01))) as sender:
        nobody = await nobody_listens()
        await owe(store, *(owed(nobody) for _ in range(8)))
        async with asyncio.timeout(60):
            while not (await store.delivery_figures()).blocked:
                await asyncio.sleep(0.01)
        made = await owe(store, owed(nobody, claimed=True, not_before=time.time_ns() // 1000 + 3600_000_000))
        began = time.monotonic()
        await deliver_now(sender, made, 60.0)
        assert time.monotonic() - began < 30.0


async def test_a_claim_is_held_while_its_peer_takes_its_time(store):
    async def slow(request, writer):
        await asyncio.sleep(3.5)
        await OK(request, writer)

    policy = DeliveryPolicy(timeout=100)
    bounds = Bounds(claim_seconds=2.0, period=0.1)
    async with listening(slow) as peer, sending(store, bounds, call=kind(policy=policy)):
        (made,) = await owe(store, owed(peer))
        await peer.until(1)
        while peer.busy:
            await asyncio.sleep(0.1)
            assert await store.release_deliveries() == 0
        found = await ended(store, made)
    assert (found.state, found.attempts, len(peer.requests)) == (DELIVERED, 1, 1)


async def test_what_was_being_sent_when_it_stopped_is_sent_by_the_next_one(store):
    async with listening(hang) as peer:
        async with sending(store, Bounds(claim_seconds=1.0), call=kind(policy=DeliveryPolicy(timeout=100))):
            (made,) = await owe(store, owed(peer))
            await peer.until(1)
        peer.behaviour = OK
        async with sending(store):
            async with asyncio.timeout(60):
                while not await store.release_deliveries():
                    await asyncio.sleep(0.05)
            assert (await ended(store, made)).attempts == 2
    assert peer.uids() == [made.uid, made.uid]


async def test_attempts_are_told_to_whoever_counts(store):
    told = []
    async with (
        listening() as peer,
        sending(
            store, told=lambda delivery, answer, seconds: told.append((delivery.kind, answer.status, 0 < seconds < 60))
        ),
    ):
        (made,) = await owe(store, owed(peer))
        await ended(store, made)
    assert told == [("call", 204, True)]


async def test_verdicts_are_those_of_the_kind(store):
    def judge(answer: Answer):
        return Verdict.GIVE_UP if answer.problem is Problem.UNREACHABLE else Verdict.DONE

    async with listening(FAILED) as peer, sending(store, call=kind(judge=judge)):
        made = await owe(store, owed(peer), owed(await nobody_listens()))
        assert [(await ended(store, one)).state for one in made] == [DELIVERED, DEAD]
