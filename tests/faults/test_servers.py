"""Whole servers on one PostgreSQL database: one of them dies at any moment, and the other one goes on."""

import asyncio
import json
import os
import random
import urllib.request
from contextlib import AsyncExitStack

import grpc
import pytest

from jobyard.jobs.v1 import job_access_pb2, job_submit_pb2, job_watch_pb2, state_pb2
from support.cutting import Proxy
from support.yarding import Jobs, jobs_of, quick_server

LONG = bool(os.environ.get("LONG"))
ROUNDS = 20 if LONG else 2
CLIENTS = 64 if LONG else 24
RETRIED = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED}


@pytest.fixture
def servers(tmp_path, shared):
    """Two servers, which share a database."""
    one, other = (quick_server(tmp_path, name=name, database=shared) for name in ("one", "other"))
    with one, other:
        yield one, other


def request_for(name, queue):
    pieces = [job_submit_pb2.NewSubjob(payload="{}") for _ in range(len(name) % 3 + 1)]
    return job_submit_pb2.SubmitJobRequest(queue=queue, subjobs=pieces, idempotency_key=name)


async def insist(stubs, request):
    """Send a request until somebody answers it, each time to the next server; which codes were told on the way."""
    codes = set()
    for turn in range(200):
        try:
            return await stubs[turn % len(stubs)].SubmitJob(request, timeout=60), codes
        except grpc.aio.AioRpcError as error:
            if error.code() not in RETRIED:
                raise
            codes.add(error.code())
            await asyncio.sleep(0.05)
    raise AssertionError(f"nobody answered: {codes}")


@pytest.mark.timeout(600)
async def test_a_server_killed_under_load_loses_nothing(servers, shared):
    one, other = servers
    told = {}
    async with AsyncExitStack() as stack:
        jobs = [await stack.enter_async_context(jobs_of(server)) for server in (one, other)]
        for round_ in range(ROUNDS):
            over = asyncio.Event()

            async def client(number, round_=round_, over=over):
                count = 0
                while not over.is_set():
                    name = f"r{round_}c{number}n{count}"
                    stubs = [jobs[(number + turn) % 2].stub for turn in range(2)]
                    answer, _ = await insist(stubs, request_for(name, jobs[0].queue))
                    told[name] = answer.job.uid
                    count += 1

            clients = [asyncio.create_task(client(number)) for number in range(CLIENTS)]
            await asyncio.sleep(random.uniform(0.5, 1.5))
            one.kill()
            await asyncio.sleep(0.5)
            over.set()
            await asyncio.gather(*clients)
            await asyncio.to_thread(one.start)
        again = await asyncio.gather(*(insist([jobs[0].stub], request_for(name, jobs[0].queue)) for name in told))
        assert all(answer.replayed for answer, _ in again)
        assert [answer.job.uid for answer, _ in again] == list(told.values())
        await check_agreement(one, jobs[1], told)
    assert one.rows("SELECT count(*) FROM jobs") == [(len(told),)]
    assert len(told) > ROUNDS


def read_over_rest(server, uid):
    with urllib.request.urlopen(f"{server.url}/jobyard/v1/jobs/{uid}", timeout=60) as answer:
        return json.load(answer)


async def check_agreement(server, jobs, told):
    """REST at one server, gRPC and the watch at the other say the same."""
    for uid in random.sample(list(told.values()), min(5, len(told))):
        over_rest = await asyncio.to_thread(read_over_rest, server, uid)
        over_grpc = (await jobs.stub.GetJob(job_access_pb2.GetJobRequest(job=uid), timeout=60)).job
        assert over_rest["state"] == state_pb2.State.Name(over_grpc.state)
        watched = jobs.stub.WatchJobs(job_watch_pb2.WatchJobsRequest(job=uid))
        first = await watched.read()
        watched.cancel()
        assert (first.event.job_seq, first.event.state) == (1, over_grpc.state)


async def test_an_answer_that_is_lost_is_given_again(servers):
    one, other = servers
    host, _, port = one.grpc.partition(":")
    proxy = Proxy(int(port))
    async with grpc.aio.insecure_channel(f"{host}:{proxy.port}") as channel, jobs_of(other) as there:
        cut = Jobs(channel)
        await cut.submit()
        for number in range(5):
            request = request_for(f"lost-answer-{number}", cut.queue)
            proxy.cut(request.idempotency_key.encode(), after=True)
            answer, codes = await insist([cut.stub, there.stub], request)
            assert codes == {grpc.StatusCode.UNAVAILABLE}
            assert answer.replayed
    assert proxy.cuts == 5
    proxy.close()
    assert one.rows("SELECT count(*) FROM jobs") == [(6,)]
    assert one.rows("SELECT count(*) FROM events WHERE type = 'JOB_SUBMITTED'") == [(6,)]


async def test_a_watch_goes_on_at_the_other_server(servers):
    one, other = servers
    async with jobs_of(one) as here, jobs_of(other) as there:
        token, seen = "", []

        async def follow(jobs, count):
            nonlocal token
            request = job_watch_pb2.WatchJobsRequest(filter=f"queue = {here.queue}", resume_token=token)
            stream = jobs.stub.WatchJobs(request)
            async for message in stream:
                token = message.resume_token or token
                if message.event.job_uid:
                    seen.append(message.event.job_uid)
                if len(seen) >= count:
                    break
            stream.cancel()

        listed = await here.stub.ListJobs(job_access_pb2.ListJobsRequest(page_size=1))
        token = listed.watch_token
        following = asyncio.create_task(follow(here, 10))
        made = [await there.submit(queue=here.queue) for _ in range(10)]
        await asyncio.wait_for(following, 60)
        one.kill()
        made += [await there.submit(queue=here.queue) for _ in range(10)]
        await asyncio.wait_for(follow(there, 20), 60)
        assert seen == [job.uid for job in made]
