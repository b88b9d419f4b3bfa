"""What an idle server costs that has much to remember: its CPU time while nobody calls.

The share is of one core, of the server's own CPU time, so that others on the machine do not count. Run:
``python benchmarks/idle.py``; ``JOBS=1000000 SCHEDULES=50000 SECONDS=60`` changes what is stored and how long is
looked.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from _measure import Server, cpu_seconds, print_table

from jobyard_server.domain.job import NewJob, NewSubjob, Outcome
from jobyard_server.domain.schedule import NewSchedule, Progress, Schedule
from jobyard_server.domain.state import Mode
from jobyard_server.store.store import Store
from jobyard_server.usecases.ports import Acquire, Settle

JOBS = int(os.environ.get("JOBS", "100000"))
SCHEDULES = int(os.environ.get("SCHEDULES", "10000"))
SECONDS = float(os.environ.get("SECONDS", "30"))
BATCH = 1000
SETTLING_SECONDS = 5.0
YEAR = 365 * 86_400 * 1_000_000

JOB = NewJob("jobs", "default", "ann", subjobs=(NewSubjob('{"n": 1}'),))
WAITING = 10
"""One job in so many still waits; the others have ended."""


async def main() -> None:
    """Measure and print."""
    rows = []
    for jobs, schedules in ((0, 0), (JOBS, SCHEDULES)):
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
            await fill(Path(folder) / "jobyard.db", jobs, schedules)
            with Server(Path(folder)) as server:
                await asyncio.sleep(SETTLING_SECONDS)
                before, began = cpu_seconds(server.process.pid), time.perf_counter()
                await asyncio.sleep(SECONDS)
                used = cpu_seconds(server.process.pid) - before
                share = 100 * used / (time.perf_counter() - began)
        rows.append((jobs, schedules, share))
    print_table(f"An idle server, over {SECONDS:g} s", ("jobs", "schedules", "% of a core"), rows)


async def fill(database: Path, jobs: int, schedules: int) -> None:
    """Write a database as a server leaves it behind that has been used for long."""
    async with Store(f"sqlite:///{database}", keep_seconds=30 * 86_400.0) as store:
        for start in range(0, jobs, BATCH):
            made = min(BATCH, jobs - start)
            await store.submit_many([replace(JOB, queue="done")] * (made - made // WAITING))
            await store.submit_many([replace(JOB, queue="waits")] * (made // WAITING))
            command = Acquire("filler-01", "filler", "worker", None, ("done",), 500, 600.0)
            while leases := (await store.acquire(command)).leases:
                ends = [Settle(lease.token, "worker", Outcome.SUCCEEDED) for lease in leases]
                await asyncio.gather(*map(store.settle, ends))
        due = await store.read.now() + YEAR
        schedule = NewSchedule(Schedule(cron="0 0 1 1 *"), Progress(due))
        scheduled = replace(JOB, mode=Mode.SCHEDULED, subjobs=(), schedule=schedule)
        for start in range(0, schedules, BATCH):
            await store.submit_many([scheduled] * min(BATCH, schedules - start))


if __name__ == "__main__":
    asyncio.run(main())
