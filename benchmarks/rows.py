"""What reading, listing and leasing cost with few jobs stored and with many, on one PostgreSQL.

Both databases are filled by SQL in sets, with one job that really ran as the pattern, and are measured in turns
by servers of their own, so that drift of the machine cancels out. Run: ``python benchmarks/rows.py``;
``JOBS="10000 5000000"`` takes other sizes, ``ROUNDS=50`` more turns. Five million jobs are forty million rows.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
import psycopg
from _measure import QUIET, Server, median_ratio, print_table

from jobyard.jobs.v1 import (
    job_access_pb2,
    job_service_pb2_grpc,
    job_submit_pb2,
    worker_lease_pb2,
    worker_service_pb2_grpc,
    worker_settle_pb2,
)
from jobyard_server.callers.token_file import Entry, create
from support.postgres import Cluster

SIZES = [int(word) for word in os.environ.get("JOBS", "10000 200000").split()]
ROUNDS = int(os.environ.get("ROUNDS", "30"))
AT_ONCE = 32
CALLS = 10
"""Calls of a kind in one turn."""
PAGE = 50
QUEUES = 10
"""Queues over which the stored jobs are spread, so that a filter finds one in so many."""
EVENTS = 16
"""More than one job has told."""
GOAL = 1.3

# What every copy has of its own; all else is as in the pattern.
OWN = {
    "jobs": {
        "number": "number + i",
        "uid": "'copy-' || i",
        "queue": f"'q' || i % {QUEUES}",
        "created_at": "created_at + i",
        "updated_at": "updated_at + i",
    },
    "standings": {"number": "number + i", "updated_at": "updated_at + i"},
    "subjobs": {"id": "id + i", "job": "job + i", "queue": f"'q' || i % {QUEUES}"},
    "attempts": {"subjob": "subjob + i"},
    "events": {"position": f"position + i * {EVENTS}", "job": "job + i", "job_uid": "'copy-' || i"},
}

Call = Callable[[], Awaitable[object]]


async def main() -> None:
    """Measure and print."""
    settings = {"shared_buffers": "1GB", "maintenance_work_mem": "512MB", "max_wal_size": "8GB", "autovacuum": "off"}
    with Cluster(max_connections="100", **settings) as cluster, tempfile.TemporaryDirectory() as folder:
        # Somebody of one tenant: lists over all tenants have no index for each order.
        permissions = ("jobs.submit", "jobs.read", "work")
        token = create(Path(folder) / "tokens.yaml", Entry("caller", "", "ann", permissions=permissions))
        servers = [filled(Path(folder), cluster, size) for size in SIZES]
        for server in servers:
            server.start()
        try:
            taken = await measured([Client(*one, token) for one in zip(servers, SIZES, strict=True)])
        finally:
            for server in servers:
                server.stop()
    rows: list[tuple[object, ...]] = []
    for what, each in taken.items():
        medians = [statistics.median(one) * 1e3 for one in each]
        rows.append((what, *medians, median_ratio(list(zip(each[-1], each[0], strict=True))), f"<= {GOAL}"))
    print_table(
        f"Milliseconds of a call through gRPC, {ROUNDS} turns of {CALLS}",
        ("call", *(f"{size:,} jobs" for size in SIZES), "ratio", "goal"),
        rows,
    )


async def measured(clients: list[Client]) -> dict[str, list[list[float]]]:
    """Seconds by kind of call: for each client one figure a round."""
    taken: dict[str, list[list[float]]] = {}
    for turn in range(ROUNDS + 1):
        for place, client in enumerate(clients):
            for what, call in client.calls().items():
                began = time.perf_counter()
                for _ in range(CALLS):
                    await call()
                if turn:  # the first one warms up
                    each = taken.setdefault(what, [[] for _ in clients])
                    each[place].append((time.perf_counter() - began) / CALLS)
    for client in clients:
        await client.channel.close()
    return taken


@dataclass
class Client:
    """What is asked of one server."""

    server: Server
    size: int
    token: str

    def __post_init__(self) -> None:
        self.channel = grpc.aio.insecure_channel(self.server.grpc)
        self.caller = [("authorization", f"Bearer {self.token}")]
        self.jobs = job_service_pb2_grpc.JobServiceStub(self.channel)
        self.workers = worker_service_pb2_grpc.WorkerServiceStub(self.channel)
        self.random = random.Random(1)  # noqa: S311 - which jobs are read
        self.next_page = ""

    def calls(self) -> dict[str, Call]:
        """The kinds of calls."""
        return {
            "get": self.get,
            "list, first page": self.list,
            "list, next page in the middle": self.middle,
            "list by filter": lambda: self.list(filter='queue = "q3"'),
            "list by time of submission": lambda: self.list(order_by="create_time desc"),
            f"submit, lease and complete {AT_ONCE}": self.work,
        }

    async def get(self) -> None:
        """Read a job, any of them."""
        number = self.random.randrange(2, self.size)
        await self.jobs.GetJob(job_access_pb2.GetJobRequest(job=f"copy-{number}"), metadata=self.caller)

    async def list(self, **wanted: str) -> job_access_pb2.ListJobsResponse:
        """Read a page."""
        request = job_access_pb2.ListJobsRequest(page_size=PAGE, **wanted)
        answer = await self.jobs.ListJobs(request, metadata=self.caller)
        assert len(answer.jobs) == PAGE
        return answer

    async def middle(self) -> None:
        """Read the next page, from where about half of the jobs stand before it."""
        wanted = f"number < {self.size // 2}"
        if not self.next_page:
            self.next_page = (await self.list(filter=wanted)).next_page_token
        await self.list(filter=wanted, page_token=self.next_page)

    async def work(self) -> None:
        """Have jobs done."""
        one = job_submit_pb2.SubmitJobRequest(queue="work", payload='{"n": 1}')
        several = job_submit_pb2.SubmitJobsRequest(requests=[one] * AT_ONCE)
        await self.jobs.SubmitJobs(several, metadata=self.caller)
        request = worker_lease_pb2.AcquireRequest(session="session-1", worker="worker", queues=["work"], limit=AT_ONCE)
        leases = (await self.workers.Acquire(request, metadata=self.caller)).leases
        assert len(leases) == AT_ONCE
        done = [worker_settle_pb2.Completion(token=lease.token) for lease in leases]
        await self.workers.Complete(worker_settle_pb2.CompleteRequest(completions=done), metadata=self.caller)


def filled(folder: Path, cluster: Cluster, size: int) -> Server:
    """A server that is not running, over a database with so many jobs that have ended."""
    database = cluster.new_database()
    began = time.perf_counter()
    with Server(folder, name=f"filling-{size}", database=database, **QUIET) as server:
        run_one(server)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        multiply(connection, size)
    print(f"{size:,} jobs made in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    tokens = str(folder / "tokens.yaml")
    return Server(folder, name=f"of-{size}", database=database, JOBYARD_AUTH_TOKENS=tokens, **QUIET)


def run_one(server: Server) -> None:
    """Have one job done."""
    with grpc.insecure_channel(server.grpc) as channel:
        jobs = job_service_pb2_grpc.JobServiceStub(channel)
        workers = worker_service_pb2_grpc.WorkerServiceStub(channel)
        jobs.SubmitJob(job_submit_pb2.SubmitJobRequest(queue="q", payload='{"n": 1}'))
        request = worker_lease_pb2.AcquireRequest(session="session-1", worker="worker", queues=["q"], limit=1)
        (lease,) = workers.Acquire(request).leases
        done = [worker_settle_pb2.Completion(token=lease.token)]
        workers.Complete(worker_settle_pb2.CompleteRequest(completions=done))


def multiply(connection: psycopg.Connection[tuple[str, ...]], size: int) -> None:
    """Copy the rows of the one job that has ended, with names of their own; indexes are made when all are there."""
    for table, own in OWN.items():
        indexes = connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s AND indexname NOT LIKE 'pk_%%'", (table,)
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}".encode())
        found = connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s ORDER BY ordinal_position",
            (table,),
        ).fetchall()
        columns = [name for (name,) in found]
        values = ", ".join(own.get(name, name) for name in columns)
        insert = f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM (SELECT * FROM {table}) AS one, n"
        connection.execute(f"WITH n AS (SELECT * FROM generate_series(1, {size - 1}) AS n(i)) {insert}".encode())
        for _, made in indexes:
            connection.execute(made.encode())
        key = next(iter(own))
        newest = f"SELECT setval(s, (SELECT max({key}) FROM {table}))"
        sequence = f"pg_get_serial_sequence('{table}', '{key}') AS s"
        connection.execute(f"{newest} FROM {sequence} WHERE s IS NOT NULL".encode())
        connection.execute(f"VACUUM (ANALYZE) {table}".encode())


if __name__ == "__main__":
    asyncio.run(main())
