"""Two hundred clients with twenty keys at two servers on one PostgreSQL: how long the slowest of them wait.

Every tenth call has something else to say under a key that is in use, and is to be refused. Run:
``python benchmarks/key_storm.py``; ``ROUNDS=20`` storms longer.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import grpc
from _measure import QUIET, Server, print_table

from jobyard.jobs.v1 import job_service_pb2_grpc, job_submit_pb2
from support.postgres import Cluster

ROUNDS = int(os.environ.get("ROUNDS", "10"))
CLIENTS = 200
KEYS = 20
OTHERWISE = 10
GOAL = 1.0


async def main() -> None:
    """Measure and print."""
    with Cluster(max_connections="100") as cluster, tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        database = cluster.new_database()
        servers = [Server(Path(folder), name=f"server-{n}", database=database, **QUIET) for n in range(2)]
        addresses = [running.enter_context(server).grpc for server in servers]
        async with AsyncExitStack() as stack:
            channels = [await stack.enter_async_context(grpc.aio.insecure_channel(each)) for each in addresses]
            stubs = [job_service_pb2_grpc.JobServiceStub(channel) for channel in channels]
            codes: Counter[str] = Counter()
            took: list[float] = []
            for round_ in range(ROUNDS + 1):
                storm = await asyncio.gather(*(_call(stubs[n % 2], round_, n) for n in range(CLIENTS)))
                made = {uid for _, _, uid in storm if uid}
                if len(made) != KEYS:
                    raise SystemExit(f"{KEYS} keys made {len(made)} jobs")
                if round_:  # the first one warms up
                    codes.update(code for _, code, _ in storm)
                    took += [seconds for seconds, _, _ in storm]
    quantiles = statistics.quantiles(took, n=100)
    print_table(
        f"{CLIENTS} clients at once, {KEYS} keys, {ROUNDS} rounds",
        ("p50 ms", "p99 ms", "goal", *codes),
        [(quantiles[49] * 1e3, quantiles[98] * 1e3, f"p99 < {GOAL * 1e3:.0f}", *codes.values())],
    )


async def _call(stub: job_service_pb2_grpc.JobServiceStub, round_: int, number: int) -> tuple[float, str, str]:
    """Seconds, what came of it, and the job."""
    # The ones with something else to say come behind those who say it first.
    otherwise = number % OTHERWISE == OTHERWISE - 1 and number >= KEYS
    request = job_submit_pb2.SubmitJobRequest(
        queue="q", payload='"other"' if otherwise else '"one"', idempotency_key=f"{round_}-{number % KEYS}"
    )
    began = time.perf_counter()
    try:
        answer = await stub.SubmitJob(request)
    except grpc.aio.AioRpcError as error:
        return time.perf_counter() - began, error.code().name, ""
    return time.perf_counter() - began, "replayed" if answer.replayed else "made", answer.job.uid


if __name__ == "__main__":
    asyncio.run(main())
