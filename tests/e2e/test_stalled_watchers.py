"""Watchers that do not listen cost no memory and hold up nobody."""

import asyncio
import json
import os
import re
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import grpc
import pytest

from jobyard.jobs.v1 import event_pb2, job_access_pb2, job_service_pb2_grpc, job_submit_pb2, job_watch_pb2
from support.yarding import jobs_of, quick_server

BATCH = 100
PAUSE = 0.15
BURDEN = 15
"""Batches by which it is measured what submits take."""
MOST_MEMORY = 64 * 1024 * 1024
DEAF = 25
"""Listeners over HTTP that do not read. What they are owed is more than fifty megabytes."""


def processor_time(pid):
    """Seconds that a process has worked."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid):
    """Bytes of main memory that a process has."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024


# Without these gRPC's own client goes on reading megabytes ahead of a program that does not listen.
NOT_AHEAD = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 16_384)]


async def stalled(channel):
    """A stream that was opened and is not read."""
    stub = job_service_pb2_grpc.JobServiceStub(channel)
    call = stub.WatchJobs(job_watch_pb2.WatchJobsRequest(include_job=True))
    await call.initial_metadata()
    return call


async def burden(server, jobs, batch):
    """Processor time of the server for some batches, in seconds."""
    before = processor_time(server.process.pid)
    for _ in range(BURDEN):
        await jobs.stub.SubmitJobs(batch)
    return processor_time(server.process.pid) - before


async def from_now(jobs):
    """The token of a watch that begins now, however long it takes to open it."""
    return (await jobs.stub.ListJobs(job_access_pb2.ListJobsRequest(page_size=1))).watch_token


async def healthy(jobs, token, wanted, lags):
    """Read everything; each job is told once, in order."""
    numbers = []
    call = jobs.stub.WatchJobs(job_watch_pb2.WatchJobsRequest(resume_token=token))
    async for message in call:
        if message.event.type != event_pb2.EVENT_TYPE_JOB_SUBMITTED:
            continue
        numbers.append(message.event.job)
        lags.append(time.time() - message.event.time.ToNanoseconds() / 1e9)
        if len(numbers) == wanted:
            call.cancel()
            return numbers
    raise AssertionError("the stream ended")


# Lags are generous, as other tests run on the same machine. Held up, they would be many times as long: a client that
# reads ahead takes four megabytes a stream before it stops, as fast as the server gives them.
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("options", "watchers", "batches", "most_lag"),
    [pytest.param(NOT_AHEAD, 50, 40, 30.0, id="stalled"), pytest.param([], 30, 8, 60.0, id="reading ahead")],
)
async def test_watchers_that_do_not_listen_cost_nothing(tmp_path, options, watchers, batches, most_lag):
    with quick_server(tmp_path, JOBYARD_CHECKPOINT_SECONDS="0.2") as server:
        async with grpc.aio.insecure_channel(server.grpc, options=options) as slow, jobs_of(server) as jobs:
            one = job_submit_pb2.SubmitJobRequest(queue="nobody", payload='"' + "x" * 500 + '"')
            batch = job_submit_pb2.SubmitJobsRequest(requests=[one] * BATCH)
            await jobs.stub.SubmitJobs(batch)
            alone = await burden(server, jobs, batch)
            calls = [await stalled(slow) for _ in range(watchers)]
            lags: list[float] = []
            reading = asyncio.create_task(healthy(jobs, await from_now(jobs), batches * BATCH, lags))
            await asyncio.sleep(1)
            before = resident(server.process.pid)
            sent = []
            for _ in range(batches):
                answer = await jobs.stub.SubmitJobs(batch)
                sent += [response.job.number for response in answer.responses]
                await asyncio.sleep(PAUSE)
            assert await asyncio.wait_for(reading, 200) == sent
            grown = resident(server.process.pid) - before
            assert not any(call.done() for call in calls)
            assert grown < MOST_MEMORY, f"{grown / 2**20:.0f} MiB for {watchers} watchers"
            if options:
                # Streams that take nothing any more cost submits nothing. If fifty were told of them all the same, it
                # would take more than six seconds.
                assert await burden(server, jobs, batch) < alone + 3
            lags.sort()
            assert lags[len(lags) * 99 // 100] < most_lag
            # One that listens again finds what it missed, whole.
            late = [message async for message in _first(calls[0], 2 * BATCH)]
            seen = [message.event.job for message in late if message.HasField("event")]
            assert seen == sent[: len(seen)]
            assert len(seen) > BATCH
            for call in calls:
                call.cancel()


async def _first(call, count):
    async for message in call:
        yield message
        count -= 1
        if not count:
            return


async def followed(server, id_, wanted):
    """Every job submitted from now on, as an EventSource hears of it that goes on from the id it was told last."""
    found: list[int] = []
    headers = {"Accept": "text/event-stream"}
    async with aiohttp.ClientSession() as session:
        while len(found) < wanted:
            url = f"{server.url}/jobyard/v1/jobs:watch"
            async with session.get(url, headers=headers | {"Last-Event-ID": id_}) as answer:
                assert answer.content_type == "text/event-stream"
                async for line in answer.content:
                    if line.startswith(b"id: "):
                        id_ = line[4:].decode().strip()
                    if not line.startswith(b"data: "):
                        continue
                    event = json.loads(line[6:]).get("event", {})
                    if event.get("type") == "EVENT_TYPE_JOB_SUBMITTED":
                        found.append(int(event["job"]))
                        # Every now and then, within a batch, the connection breaks; nothing is lost or told twice.
                        if len(found) % 650 == 0 or len(found) == wanted:
                            break
    return found


def deaf(server):
    """A connection that asks for events and reads nothing, with as little room as the system gives it."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    host, port = server.rest.split(":")
    made.connect((host, int(port)))
    made.sendall(
        b"GET /jobyard/v1/jobs:watch?include_job=true HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
    )
    return made


@pytest.mark.timeout(300)
async def test_listeners_over_http_that_do_not_read_cost_nothing(tmp_path):
    with quick_server(tmp_path, JOBYARD_CHECKPOINT_SECONDS="0.2") as server, ExitStack() as connections:
        async with jobs_of(server) as jobs:
            one = job_submit_pb2.SubmitJobRequest(queue="nobody", payload='"' + "x" * 500 + '"')
            batch = job_submit_pb2.SubmitJobsRequest(requests=[one] * BATCH)
            await jobs.stub.SubmitJobs(batch)
            listeners = [connections.enter_context(deaf(server)) for _ in range(DEAF)]
            # They are streams that go on, left in the pipe.
            assert {one.recv(12, socket.MSG_PEEK) for one in listeners} == {b"HTTP/1.1 200"}
            reading = asyncio.create_task(followed(server, await from_now(jobs), 20 * BATCH))
            await asyncio.sleep(1)
            before = resident(server.process.pid)
            sent = []
            for _ in range(20):
                answer = await jobs.stub.SubmitJobs(batch)
                sent += [response.job.number for response in answer.responses]
                await asyncio.sleep(PAUSE)
            assert await asyncio.wait_for(reading, 200) == sent
            grown = resident(server.process.pid) - before
            assert grown < MOST_MEMORY // 2, f"{grown / 2**20:.0f} MiB for {DEAF} listeners"
