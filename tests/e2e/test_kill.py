"""A server killed at any moment loses no job it has acknowledged, and makes none twice."""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import pytest

from jobyard.jobs.v1 import job_access_pb2, job_service_pb2_grpc, job_submit_pb2
from support.running import Server

CLIENTS = 64
ROUNDS = 10 if os.environ.get("LONG") else 4
READY_WITHIN = 60.0


@dataclass
class Acknowledged:
    """What the clients were told, by idempotency key."""

    jobs: dict[str, str] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)


@asynccontextmanager
async def stub_of(server: Server) -> AsyncIterator[job_service_pb2_grpc.JobServiceStub]:
    options = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 200)]
    async with grpc.aio.insecure_channel(server.grpc, options=options) as channel:
        yield job_service_pb2_grpc.JobServiceStub(channel)


def request_for(key: str) -> job_submit_pb2.SubmitJobRequest:
    pieces = [job_submit_pb2.NewSubjob(payload=f'{{"key": "{key}", "piece": {n}}}') for n in range(len(key) % 3 + 1)]
    return job_submit_pb2.SubmitJobRequest(queue="nobody-serves-it", subjobs=pieces, idempotency_key=key)


async def submit_until_it_dies(
    stub: job_service_pb2_grpc.JobServiceStub, client: str, told: Acknowledged, stop: asyncio.Event
) -> None:
    number = 0
    while not stop.is_set():
        key = f"{client}-{number}"
        number += 1
        told.sent.append(key)
        try:
            answer = await stub.SubmitJob(request_for(key), timeout=60)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                return
            if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise
        else:
            told.jobs[key] = answer.job.uid


async def load_and_kill(server: Server, round_: int, moment: float, told: Acknowledged) -> None:
    stop = asyncio.Event()
    async with stub_of(server) as stub:
        clients = [
            asyncio.create_task(submit_until_it_dies(stub, f"r{round_}c{client}", told, stop))
            for client in range(CLIENTS)
        ]
        await asyncio.sleep(moment)
        while round_ % 2 and len(told.jobs) < ROUNDS:
            # Also a slow machine acknowledges something before it ends.
            await asyncio.sleep(0.01)
        server.kill()
        stop.set()
        await asyncio.gather(*clients)


async def check_nothing_lost(server: Server, told: Acknowledged) -> None:
    async with stub_of(server) as stub:
        limit = asyncio.Semaphore(CLIENTS)

        async def retry(key: str) -> None:
            async with limit:
                answer = await stub.SubmitJob(request_for(key), timeout=60)
            if key in told.jobs:
                assert answer.replayed, f"{key} had been acknowledged and was made again"
                assert answer.job.uid == told.jobs[key]
            told.jobs[key] = answer.job.uid

        await asyncio.gather(*(retry(key) for key in told.sent))
        sample = random.sample(sorted(told.jobs.items()), min(50, len(told.jobs)))
        for key, uid in sample:
            found = await stub.GetJob(job_access_pb2.GetJobRequest(job=uid), timeout=60)
            assert found.job.subjobs.pending == len(request_for(key).subjobs)


def check_rows(server: Server, told: Acknowledged) -> None:
    """No job without its subjobs, its first event and its key; the file is whole."""
    assert server.whole()
    assert server.rows("SELECT count(*) FROM jobs") == [(len(told.jobs),)]
    torn = """
        SELECT count(*) FROM jobs AS j WHERE
            (SELECT count(*) FROM subjobs AS s WHERE s.job = j.number) <> j.n_pending
            OR (SELECT count(*) FROM events AS e WHERE e.job = j.number) <> 1
            OR (SELECT count(*) FROM request_keys AS k WHERE k.job = j.number) <> 1
    """
    assert server.rows(torn) == [(0,)]


@pytest.mark.timeout(300)
async def test_kill_nine_loses_nothing_that_was_acknowledged(tmp_path, record_property):
    seed = random.randrange(1 << 32)
    record_property("seed", seed)
    moments = random.Random(seed)
    server = Server(tmp_path, "--dev", JOBYARD_DEV_WORKER="false")
    told = Acknowledged()
    for round_ in range(ROUNDS):
        server.start()
        this_round = Acknowledged()
        await load_and_kill(server, round_, moments.uniform(0.05, 0.6), this_round)
        super(Server, server).start()
        took = server.wait_until_ready()
        assert took < READY_WITHIN, f"ready again after {took:.1f} s"
        await check_nothing_lost(server, this_round)
        told.jobs |= this_round.jobs
        server.stop()
        check_rows(server, told)
    assert len(told.jobs) > ROUNDS, "the clients were never fast enough to be acknowledged"
