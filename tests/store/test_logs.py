"""Logs of attempts: in order, once, bounded, and only from who holds the lease."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobyard_server.domain.reason import Reason
from jobyard_server.store import logs
from jobyard_server.store.reader import _joined
from jobyard_server.usecases.ports import AppendLog
from support.storing import Hand, new_job, refusal


@pytest.fixture
async def lease(store, hand):
    await store.submit(new_job())
    (found,) = await hand.take()
    return found


def appending(store, token, offset, data, principal="worker"):
    return store.append_log(AppendLog(token, principal, offset, data))


async def whole(store, lease, attempt=1):
    data, at = b"", 0
    while True:
        piece, start = await store.read.log(lease.subjob.id, attempt, offset=at, limit=5)
        if not piece:
            return data
        assert start == at
        data, at = data + piece, at + len(piece)


async def test_chunks_follow_each_other(store, lease):
    assert await appending(store, lease.token, 0, b"hello ") == 6
    assert await appending(store, lease.token, 6, b"world") == 11
    assert await whole(store, lease) == b"hello world"
    (attempt,) = await store.read.attempts(lease.subjob.id)
    assert attempt.log_size == 11


async def test_what_was_received_is_not_kept_twice(store, lease):
    await appending(store, lease.token, 0, b"hello ")
    assert await appending(store, lease.token, 0, b"hello ") == 6
    assert await appending(store, lease.token, 3, b"lo wo") == 8
    assert await appending(store, lease.token, 2, b"llo") == 8
    assert await whole(store, lease) == b"hello wo"


async def test_a_gap_is_refused_saying_what_was_received(store, lease):
    await appending(store, lease.token, 0, b"hello")
    refused = await refusal(appending(store, lease.token, 6, b"x"))
    assert refused.reason is Reason.LOG_GAP
    assert refused.metadata == {"received": "5"}


async def test_only_the_holder_of_an_open_lease_writes(store, hand, lease):
    for token, principal in ((lease.token, "somebody"), ("1.1." + "0" * 24, "worker"), ("nonsense", "worker")):
        assert (await refusal(appending(store, token, 0, b"x", principal))).reason is Reason.LEASE_LOST
    await hand.end(lease.token)
    assert (await refusal(appending(store, lease.token, 0, b"x"))).reason is Reason.LEASE_LOST


async def test_a_chunk_is_bounded(store, lease):
    refused = await refusal(appending(store, lease.token, 0, b"x" * (logs.MAX_CHUNK + 1)))
    assert refused.violations[0].field == "data"
    assert await appending(store, lease.token, 0, b"x" * logs.MAX_CHUNK) == logs.MAX_CHUNK


async def test_of_a_long_log_the_head_and_the_tail_are_kept(store, lease, monkeypatch):
    monkeypatch.setattr(logs, "MAX_HEAD", 20)
    monkeypatch.setattr(logs, "MAX_TAIL", 20)
    for place in range(0, 100, 10):
        await appending(store, lease.token, place, b"%010d" % place)
    head, start = await store.read.log(lease.subjob.id, 1, offset=0, limit=1000)
    assert (head, start) == (b"00000000000000000010", 0)
    tail, start = await store.read.log(lease.subjob.id, 1, offset=20, limit=1000)
    assert (tail, start) == (b"00000000800000000090", 80)
    (attempt,) = await store.read.attempts(lease.subjob.id)
    assert attempt.log_size == 100


async def test_each_attempt_has_a_log_of_its_own(store, lease):
    other = Hand(store, "s2")
    await appending(store, lease.token, 0, b"first")
    await store.submit(new_job())
    (second,) = await other.take()
    await appending(store, second.token, 0, b"second")
    assert await whole(store, lease) == b"first"
    assert await whole(store, second) == b"second"


@settings(max_examples=200)
@given(st.lists(st.binary(min_size=1, max_size=9), max_size=8), st.integers(0, 80), st.integers(1, 20))
def test_what_is_read_is_what_stands_there(chunks, offset, limit):
    placed, at = [], 0
    for chunk in chunks:
        placed.append((at, chunk))
        at += len(chunk)
    beyond = [(place, chunk) for place, chunk in placed if place + len(chunk) > offset]
    assert _joined(beyond, offset, limit) == (b"".join(chunks)[offset : offset + limit], offset)


async def test_chunks_of_many_logs_are_kept_together_and_each_is_answered_for_itself(store, hand):
    await store.submit_many([new_job() for _ in range(20)])
    leases = await hand.take(limit=20)
    first = [appending(store, lease.token, 0, b"one ") for lease in leases]
    second = [appending(store, lease.token, 4, b"two") for lease in leases]
    gap = refusal(appending(store, leases[0].token, 99, b"far"))
    answers = await asyncio.gather(*first, *second, gap)
    assert answers[:40] == [4] * 20 + [7] * 20
    assert answers[40].reason is Reason.LOG_GAP
    assert [await whole(store, lease) for lease in leases] == [b"one two"] * 20
