"""What one lease costs with few and with many jobs stored: the work of leasing must not grow with what has ended.

Both databases are measured in turns in one run, so that drift of the machine cancels out; beside the time stands what
SQLite itself counts, which no neighbour disturbs. Run: ``python benchmarks/lease_cost.py``; ``JOBS="1000 100000"``
takes other sizes. The large database is made by SQL, in sets.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from _measure import median_ratio, print_table

from jobyard_server.domain.job import NewJob, NewSubjob, Outcome
from jobyard_server.store.store import Store
from jobyard_server.usecases.ports import Acquire, Settle

SIZES = [int(word) for word in os.environ.get("JOBS", "1000 1000000").split()]
ROUNDS = 30
AT_ONCE = 32
READY = 500
"""Jobs that wait while it is measured, in every database as many."""
JOB = NewJob("jobs", "default", "ann", queue="q", subjobs=(NewSubjob('{"n": 1}'),))


async def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        stores = []
        for size in SIZES:
            store = await filled(Path(folder) / f"{size}.db", size)
            stores.append(store)
        took: list[list[float]] = [[] for _ in stores]
        steps: list[list[int]] = [[] for _ in stores]
        for _ in range(ROUNDS):
            for place, store in enumerate(stores):
                await top_up(store)
                seconds, counted = await lease(store)
                took[place].append(seconds / AT_ONCE * 1e6)
                steps[place].append(counted // AT_ONCE)
        rows = [
            (size, statistics.median(took[place]), statistics.median(steps[place])) for place, size in enumerate(SIZES)
        ]
        print_table(f"Leases of {AT_ONCE} at once", ("jobs stored", "µs a lease", "SQLite steps a lease"), rows)
        ratio = median_ratio(list(zip(took[-1], took[0], strict=True)))
        counted = statistics.median(steps[-1]) / statistics.median(steps[0])
        print(f"\n{SIZES[-1]:,} jobs against {SIZES[0]:,}: {ratio:.2f} times the time, {counted:.2f} times the steps")
        for store in stores:
            await store.stop()


async def lease(store: Store) -> tuple[float, int]:
    """(seconds, steps of SQLite's machine) of one set of leases; they are completed afterwards."""
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 100

    def connection(tx: object) -> sqlite3.Connection:
        found: sqlite3.Connection = tx._unit.sets._connection  # type: ignore[attr-defined]  # noqa: SLF001 - looks inside
        return found

    command = Acquire("worker-01", "worker", "worker", None, ("q",), AT_ONCE, 60.0)
    await store.run(lambda tx: connection(tx).set_progress_handler(count, 100))
    began = time.perf_counter()
    leases = (await store.acquire(command)).leases
    seconds = time.perf_counter() - began
    await store.run(lambda tx: connection(tx).set_progress_handler(None, 100))
    assert len(leases) == AT_ONCE
    await asyncio.gather(*(store.settle(Settle(one.token, "worker", Outcome.SUCCEEDED)) for one in leases))
    return seconds, steps


async def top_up(store: Store) -> None:
    """Have as many jobs wait as before."""
    await store.submit_many([JOB] * AT_ONCE)


async def filled(database: Path, size: int) -> Store:
    """A store with so many jobs that have ended, and some that wait."""
    store = Store(f"sqlite:///{database}")
    await store.start()
    await store.submit(JOB)
    command = Acquire("filler-01", "filler", "worker", None, ("q",), 1, 60.0)
    (one,) = (await store.acquire(command)).leases
    await store.settle(Settle(one.token, "worker", Outcome.SUCCEEDED))
    await store.run(lambda tx: multiply(tx._unit.sets._connection, size))  # type: ignore[attr-defined]  # noqa: SLF001 - looks inside
    for _ in range(READY // 100):
        await store.submit_many([JOB] * 100)
    return store


def multiply(connection: sqlite3.Connection, size: int) -> None:
    """Copy the rows of the one job that has ended, as often as is wanted, with numbers of their own."""
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
    own = {
        "jobs": {"number": "number + i", "uid": "'copy-' || i"},
        "subjobs": {"id": "id + i", "job": "job + i"},
        "attempts": {"subjob": "subjob + i"},
        "events": {"position": f"position + i * {EVENTS}", "job": "job + i", "job_uid": "'copy-' || i"},
    }
    for table, changed in own.items():
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        values = ", ".join(changed.get(column, column) for column in columns)
        original = f"(SELECT * FROM {table})"
        insert = f"INSERT INTO {table} ({', '.join(columns)}) {numbers} SELECT {values} FROM {original}, n"
        connection.execute(insert, (size - 1,))
        if "number" in changed or "id" in changed or "position" in changed:
            key = next(iter(changed))
            connection.execute(
                f"UPDATE sqlite_sequence SET seq = (SELECT max({key}) FROM {table}) WHERE name = '{table}'"
            )


EVENTS = 16
"""More than one job has told."""


if __name__ == "__main__":
    asyncio.run(main())
