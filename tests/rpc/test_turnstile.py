"""How often, and how many at once: for each address and each caller, by both doors."""

import asyncio
import contextlib

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobyard_server.domain.principal import Principal
from jobyard_server.domain.reason import Reason, Refused
from jobyard_server.rpc import turnstile as rooms
from jobyard_server.rpc.edge import Limits
from jobyard_server.rpc.turnstile import Pass, Share, Turnstile, address_of, turnstile
from support import probing
from support.doors import GrpcDoor, InProcessDoor
from support.probing import SayRequest, bearer

ANN, BOB = Principal("ann", "north"), Principal("bob", "north")
NOBODY = Principal("anonymous", "north")


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def refused(act):
    with pytest.raises(Refused) as caught:
        act()
    assert caught.value.refusal.reason is Reason.TOO_MANY_REQUESTS
    return caught.value.refusal.retry_after


def test_a_burst_and_then_the_rate():
    clock = Clock()
    gate = Turnstile(Share(rate=10, burst=3), Share(), clock)
    for _ in range(3):
        Pass(gate, "ipv4:10.0.0.1:1").leave()
    assert refused(lambda: Pass(gate, "ipv4:10.0.0.1:2")) == pytest.approx(0.1)
    Pass(gate, "ipv4:10.0.0.2:1")
    clock.now += 0.1
    Pass(gate, "ipv4:10.0.0.1:2")
    refused(lambda: Pass(gate, "ipv4:10.0.0.1:2"))
    clock.now += 3600
    for _ in range(3):
        Pass(gate, "ipv4:10.0.0.1:2")
    refused(lambda: Pass(gate, "ipv4:10.0.0.1:2"))


def test_so_many_at_once_and_no_more():
    gate = Turnstile(Share(at_once=3), Share(at_once=2))
    passes = [Pass(gate, f"ipv4:10.0.0.{number % 2}:1") for number in range(4)]
    for each in passes[:2]:
        each.known(ANN)
    assert refused(lambda: passes[2].known(ANN)) == 1.0
    passes[2].known(BOB)
    passes[3].known(NOBODY)
    passes[0].leave()
    Pass(gate, "ipv4:10.0.0.0:1").known(ANN)
    for each in passes[1:]:
        each.leave()
    assert gate.addresses._open == {"10.0.0.0": 1}
    assert gate.callers._open == {("north", "ann"): 1}


@settings(max_examples=200, deadline=None)
@given(
    rate=st.integers(1, 50),
    burst=st.integers(1, 20),
    waits=st.lists(st.floats(0, 1), min_size=1, max_size=80),
)
def test_over_any_time_no_more_come_in_than_said(rate, burst, waits):
    clock = Clock()
    gate = Turnstile(Share(rate=rate, burst=burst), Share(), clock)
    let_in = []
    for wait in waits:
        clock.now += wait
        with contextlib.suppress(Refused):
            Pass(gate, "ipv4:10.0.0.1:1")
            let_in.append(clock.now)
    for first in range(len(let_in)):
        for last in range(first, len(let_in)):
            assert last - first + 1 <= burst + rate * (let_in[last] - let_in[first]) + 1e-6


def test_no_more_are_known_than_said(monkeypatch):
    monkeypatch.setattr(rooms, "MOST", 100)
    clock = Clock()
    gate = Turnstile(Share(rate=1, burst=5), Share(), clock)
    for number in range(1000):
        Pass(gate, f"ipv4:10.0.{number // 250}.{number % 250}:1")
        assert len(gate.addresses._paid) <= 100
    clock.now += 60
    Pass(gate, "ipv4:10.9.9.9:1")
    gate.addresses._forget(clock.now)
    assert set(gate.addresses._paid) == {"10.9.9.9"}


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:10.0.0.1:53211", "10.0.0.1"),
        ("ipv6:[2001:db8:1:2:3:4:5:6]:80", "2001:db8:1:2::/64"),
        ("ipv6:%5B2001:db8:1:2::1%5D:80", "2001:db8:1:2::/64"),
        ("ipv6:[::ffff:10.0.0.1]:80", "10.0.0.1"),
        ("ipv6:[fe80::1%25eth0]:80", "fe80::/64"),
        ("unix:", "unix"),
        ("unix:/run/jobyard.sock", "unix"),
    ],
)
def test_whose_a_peer_is(peer, address):
    assert address_of(peer) == address


def test_nothing_is_asked_where_nothing_is_limited():
    assert turnstile(Share(), Share()) is None


async def served(limits):
    probe = probing.Probe()
    rpc = probing.rpc_of(probe, probing.guarded(limits))
    rpc.port = rpc.server.add_insecure_port("127.0.0.1:0")
    await rpc.server.start()
    return rpc, probe


@pytest.fixture(params=["grpc", "in process"])
def door_of(request):
    def make(rpc, channel):
        return GrpcDoor(channel) if request.param == "grpc" else InProcessDoor(rpc.backend)

    return make


async def test_a_caller_that_calls_too_often_hears_when_to_come_back(door_of):
    rpc, _ = await served(Limits(caller=Share(rate=0.01, burst=2)))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{rpc.port}") as channel:
        door = door_of(rpc, channel)
        ends = [await door.call("Say", SayRequest(word="hello"), bearer("sayer")) for _ in range(3)]
        assert [end.code for end in ends] == ["OK", "OK", "RESOURCE_EXHAUSTED"]
        assert ends[2].info.reason == "TOO_MANY_REQUESTS"
        assert 90 < ends[2].details["RetryInfo"].retry_delay.seconds <= 100
        assert (await door.call("Open", SayRequest(word="hello"))).code == "OK"
    await rpc.server.stop(0)


async def test_an_address_is_stopped_before_its_credentials_are_looked_at(door_of):
    rpc, _ = await served(Limits(address=Share(rate=0.01, burst=3)))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{rpc.port}") as channel:
        door = door_of(rpc, channel)
        ends = [await door.call("Say", SayRequest(word="hello"), bearer("guess")) for _ in range(5)]
        assert [end.code for end in ends] == ["UNAUTHENTICATED"] * 3 + ["RESOURCE_EXHAUSTED"] * 2
    await rpc.server.stop(0)


async def test_calls_that_ended_in_any_way_make_room(door_of):
    rpc, probe = await served(Limits(caller=Share(at_once=1)))
    gate = rpc.backend._edge.turnstile
    async with grpc.aio.insecure_channel(f"127.0.0.1:{rpc.port}") as channel:
        door = door_of(rpc, channel)
        waiting = asyncio.create_task(door.call("Say", SayRequest(word="sleep", seconds=30), bearer("sayer")))
        await asyncio.wait_for(probe.began.wait(), 60)
        refusal = await door.call("Count", SayRequest(word="hello"), bearer("sayer"))
        assert (refusal.code, refusal.info.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_REQUESTS")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        async with asyncio.timeout(60):
            while gate.callers._open:
                await asyncio.sleep(0.01)
        for method, word in (("Say", "refuse"), ("Say", "break"), ("Say", "abort"), ("Say", ""), ("Count", "break")):
            assert (await door.call(method, SayRequest(word=word), bearer("sayer"))).code != "OK"
            assert (await door.call(method, SayRequest(word="hello"), bearer("stranger"))).code == "PERMISSION_DENIED"
        async with asyncio.timeout(60):
            while gate.callers._open:
                await asyncio.sleep(0.01)
        assert (await door.call("Say", SayRequest(word="hello"), bearer("sayer"))).code == "OK"
    await rpc.server.stop(0)
