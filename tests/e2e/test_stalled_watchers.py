"""Watchers that do not listen cost no memory and hold up nobody."""

import asyncio
import re
import time
from pathlib import Path

import grpc
import pytest

from jobyard.jobs.v1 import event_pb2, job_service_pb2_grpc, job_submit_pb2, job_watch_pb2
from support.yarding import jobs_of, quick_server

BATCH = 100
PAUSE = 0.15
MOST_MEMORY = 64 * 1024 * 1024


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


async def healthy(jobs, wanted, lags):
    """Read everything; each job is told once, in order."""
    numbers = []
    async for message in jobs.stub.WatchJobs(job_watch_pb2.WatchJobsRequest()):
        if message.event.type != event_pb2.EVENT_TYPE_JOB_SUBMITTED:
            continue
        numbers.append(message.event.job)
        lags.append(time.time() - message.event.time.ToNanoseconds() / 1e9)
        if len(numbers) == wanted:
            return numbers
    raise AssertionError("the stream ended")


# Lags are generous, as other tests run on the same machine. Held up, they would be many times as long: a client that
# reads ahead takes four megabytes a stream before it stops, as fast as the server gives them.
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("options", "watchers", "batches", "most_lag"),
    [pytest.param(NOT_AHEAD, 50, 40, 3.0, id="stalled"), pytest.param([], 30, 8, 8.0, id="reading ahead")],
)
async def test_watchers_that_do_not_listen_cost_nothing(tmp_path, options, watchers, batches, most_lag):
    with quick_server(tmp_path, JOBYARD_CHECKPOINT_SECONDS="0.2") as server:
        async with grpc.aio.insecure_channel(server.grpc, options=options) as slow, jobs_of(server) as jobs:
            one = job_submit_pb2.SubmitJobRequest(queue="nobody", payload='"' + "x" * 500 + '"')
            batch = job_submit_pb2.SubmitJobsRequest(requests=[one] * BATCH)
            await jobs.stub.SubmitJobs(batch)
            calls = [await stalled(slow) for _ in range(watchers)]
            lags: list[float] = []
            reading = asyncio.create_task(healthy(jobs, batches * BATCH, lags))
            await asyncio.sleep(1)
            before = resident(server.process.pid)
            sent = []
            for _ in range(batches):
                answer = await jobs.stub.SubmitJobs(batch)
                sent += [response.job.number for response in answer.responses]
                await asyncio.sleep(PAUSE)
            assert await asyncio.wait_for(reading, 60) == sent
            grown = resident(server.process.pid) - before
            assert not any(call.done() for call in calls)
            assert grown < MOST_MEMORY, f"{grown / 2**20:.0f} MiB for {watchers} watchers"
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
