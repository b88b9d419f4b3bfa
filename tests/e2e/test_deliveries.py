"""Webhooks through crashes and bad receivers: every event arrives, under one name, in order, and nobody else waits."""

import asyncio
import json
import time
from collections import defaultdict
from itertools import pairwise

import aiohttp
import pytest
import pytest_asyncio

from support.peers import FAILED, OK, break_off, hang, listening, redirect
from support.running import Server

POLICY = {"attempts": 6, "first_wait": 0.1, "multiplier": 2, "max_wait": 2, "timeout": 0.7}
SETTINGS = {
    "JOBYARD_DEV_WORKER": "false",
    "JOBYARD_DELIVERY_CLAIM_SECONDS": "1",
    "JOBYARD_DELIVERY_CHECK_SECONDS": "0.1",
    "JOBYARD_DRAIN_SECONDS": "1",
}


class Yard:
    """A server, and its REST API in few words."""

    def __init__(self, server, http):
        self.server, self.http = server, http

    async def ask(self, verb, path, body=None):
        async with self.http.request(verb, f"{self.server.url}/jobyard/v1{path}", json=body) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def hook(self, name, peer, **fields):
        return (await self.ask("PUT", f"/webhooks/{name}", {"url": f"{peer.url}/{name}", **fields}))["secret"]

    async def submit_and_cancel(self):
        """A job with several events."""
        job = await self.ask("POST", "/jobs", {"queue": "nobody-serves-it", "payload": {}})
        await self.ask("POST", f"/jobs/{job['uid']}:cancel", {})
        return job["uid"]

    async def dead(self):
        return (await self.ask("GET", "/deliveries?state=DELIVERY_STATE_DEAD&page_size=1000"))["deliveries"]


@pytest_asyncio.fixture
async def yard(tmp_path, request):
    policy = json.dumps({"jobs.webhook": POLICY | getattr(request, "param", {})})
    with Server(tmp_path, "--dev", **SETTINGS, JOBYARD_DELIVERY_POLICIES=policy) as server:
        async with aiohttp.ClientSession() as http:
            yield Yard(server, http)


def arrived(peer):
    """What a receiver has taken: its first successful sight of each event, by job."""
    by_job = defaultdict(dict)
    for request in peer.requests:
        uid, _, sequence = request.headers["ce-id"].rpartition(".")
        by_job[uid].setdefault(int(sequence), request.at)
    return by_job


def names(peer):
    """The names under which each event came."""
    found = defaultdict(set)
    for request in peer.requests:
        found[request.headers["ce-id"]].add((request.headers["idempotency-key"], request.headers["webhook-id"]))
    return found


async def until(condition, seconds=120.0):
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("yard", [{"attempts": 0}], indirect=True)
async def test_a_server_killed_between_a_call_and_its_mark_calls_again_under_one_name(yard):
    arrivals = asyncio.Event()

    async def late(request, writer):
        arrivals.set()
        await asyncio.sleep(1)
        await OK(request, writer)

    async with listening(late) as peer:
        await yard.hook("w", peer)
        uid = await yard.submit_and_cancel()
        await asyncio.wait_for(arrivals.wait(), 60)
        yard.server.kill()
        first = len(peer.requests)
        peer.behaviour = OK
        await asyncio.to_thread(yard.server.start)
        last = max(await _sequences(yard, uid))

        async def all_there():
            return set(arrived(peer)[uid]) == set(range(1, last + 1))

        await until(all_there)
        assert peer.requests[first].headers["ce-id"] == peer.requests[0].headers["ce-id"]
        assert all(len(each) == 1 for each in names(peer).values())
        times = [arrived(peer)[uid][sequence] for sequence in range(1, last + 1)]
        assert times == sorted(times)


async def _sequences(yard, uid):
    """The events a job has, as its deliveries tell."""

    async def told():
        found = (await yard.ask("GET", "/deliveries?page_size=1000"))["deliveries"]
        sequences = {one["facts"]["event"]["job_seq"] for one in found if one["facts"]["event"]["job_uid"] == uid}
        ended = any(
            one["facts"]["event"]["type"] == "JOB_CHANGED" and one["facts"]["event"]["state"] == "CANCELLED"
            for one in found
        )
        return sequences if ended else set()

    await until(told)
    return await told()


async def dead_of_each(yard, bad):
    """Wait until each bad receiver has a dead letter."""

    async def there():
        return {one["address"].rpartition("/")[2] for one in await yard.dead()} == bad.keys()

    await until(there, 60)


async def delays_of(yard, well, jobs):
    """How long a well receiver waits for the news of jobs made now."""
    delays = []
    for _ in range(15):
        began = time.monotonic()
        uid = await yard.submit_and_cancel()
        jobs.append(uid)

        async def told(uid=uid):
            return arrived(well)[uid]

        await until(told)
        delays.append(time.monotonic() - began)
    return delays


async def redriven(yard, well, bad):
    """Send dead letters again until every receiver has got what the well one got."""

    async def all_arrived():
        await yard.ask("POST", "/deliveries:redrive", {})
        expected = {uid: set(each) for uid, each in arrived(well).items()}
        got = [{uid: set(each) for uid, each in arrived(peer).items()} for peer in bad]
        return all(each == expected for each in got) and not await yard.dead()

    await until(all_arrived, 60)


# With an age, because nobody wants to wait until each has used up its attempts at a destination that is left alone.
@pytest.mark.parametrize("yard", [{"max_age": 8}], indirect=True)
async def test_bad_receivers_end_in_dead_letters_and_delay_nobody(yard):
    async with (
        listening() as inside,
        listening() as well,
        listening(FAILED) as failing,
        listening(hang) as hanging,
        listening(break_off) as breaking,
        listening(redirect(f"{inside.url}/secret")) as redirecting,
    ):
        bad = {"failing": failing, "hanging": hanging, "breaking": breaking, "redirecting": redirecting}
        for name, peer in (bad | {"well": well}).items():
            await yard.hook(name, peer)
        jobs = [await yard.submit_and_cancel()]
        await dead_of_each(yard, bad)
        one = next(each for each in await yard.dead() if each["address"].endswith("failing"))
        # Where the machine is busy its time is over before its attempts are.
        assert (3 <= one["attempts"] <= 6, one["last_status"]) == (True, 500)
        times = [each.at for each in failing.requests if each.headers["idempotency-key"] == one["uid"]]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert len(gaps) == one["attempts"] - 1
        assert all(gap >= 0.04 * 2**number for number, gap in enumerate(gaps)), gaps
        # Behind the bad ones it would be minutes.
        assert max(await delays_of(yard, well, jobs)) < 30.0
        assert inside.requests == []
        for peer in bad.values():
            peer.behaviour = OK
        await redriven(yard, well, bad.values())
        assert set(arrived(well)) == set(jobs)
        for peer in (*bad.values(), well):
            assert all(len(each) == 1 for each in names(peer).values())


async def test_a_private_address_is_never_called_and_says_so(tmp_path):
    """A server that is not in development calls no loopback address."""
    async with listening() as peer:
        with Server(tmp_path, **{**SETTINGS, "JOBYARD_OUTBOUND_ALLOW": "10.0.0.0/8"}) as server:
            async with aiohttp.ClientSession() as http:
                yard = Yard(server, http)
                await yard.hook("w", peer)
                await yard.submit_and_cancel()

                async def dead():
                    return await yard.dead()

                await until(dead)
                (one, *_) = await yard.dead()
        assert one["attempts"] == 1
        assert "nobody allowed it" in one["last_error"]
        assert peer.connections == 0
