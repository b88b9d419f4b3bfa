"""What caps and rates on queues cost: the same submits, leases and completions with and without them.

All kinds of queues are measured in turns in one run, each on a store of its own, in another order each time, so that
drift of the machine cancels out. The ratios are of the CPU time of a job, which neighbours on the machine disturb less
than its rate. A queue nobody limits must not pay for those that are. Run: ``python benchmarks/queues.py``;
``ROUNDS=9 JOBS=4000`` changes how often and how much.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from _measure import median_ratio, print_table

from jobyard_server.domain.catalog import Queue, QueueOrder, Rate
from jobyard_server.domain.job import NewJob, NewSubjob, Outcome
from jobyard_server.store.store import Store
from jobyard_server.usecases.ports import Acquire, Lease, Settle

ROUNDS = int(os.environ.get("ROUNDS", "7"))
JOBS = int(os.environ.get("JOBS", "2000"))
TENANTS = 10
WORKERS = 8
AT_ONCE = 16
PLENTY = 1_000_000
"""A limit that is never reached: what it costs to look is measured, not what it holds back."""

JOB = NewJob("jobs", "acme", "ann", queue="q", subjobs=(NewSubjob('{"n": 1}'),))
KINDS: dict[str, Queue | None] = {
    "nobody put it": None,
    "no limit": Queue("q"),
    "cap": Queue("q", max_running=PLENTY),
    "rate": Queue("q", rate=Rate(float(PLENTY), PLENTY)),
    "cap and rate by tenant": Queue("q", max_running_per_tenant=PLENTY, tenant_rate=Rate(float(PLENTY), PLENTY)),
    "fair": Queue("q", order=QueueOrder.FAIR),
    "fair, cap by tenant": Queue("q", order=QueueOrder.FAIR, max_running_per_tenant=PLENTY),
}


async def main() -> None:
    """Measure and print."""
    submits: dict[str, list[Spent]] = {kind: [] for kind in KINDS}
    leases: dict[str, list[Spent]] = {kind: [] for kind in KINDS}
    await measure(None)
    for _ in range(ROUNDS):
        for kind in random.sample(list(KINDS), len(KINDS)):
            submitted, leased = await measure(KINDS[kind])
            submits[kind].append(submitted)
            leases[kind].append(leased)
    rows = [(kind, *compared(submits, kind), *compared(leases, kind)) for kind in KINDS]
    print_table(
        f"{JOBS} jobs of {TENANTS} tenants, {WORKERS} workers that lease {AT_ONCE} at once",
        ("queue", "submits/s", "µs CPU", "ratio", "leased and completed/s", "µs CPU", "ratio"),
        rows,
    )


@dataclass(frozen=True)
class Spent:
    """What all jobs together took, in seconds."""

    wall: float
    cpu: float


class Watch:
    """Looks at the clock, and at the time of the process."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def spent(self) -> Spent:
        """Since it was made."""
        return Spent(time.perf_counter() - self._wall, time.process_time() - self._cpu)


def compared(spent: dict[str, list[Spent]], kind: str) -> tuple[float, float, float]:
    """(the best rate, the median CPU time of a job, how it compares with a queue nobody put)."""
    own, plain = spent[kind], next(iter(spent.values()))
    ratio = median_ratio([(one.cpu, other.cpu) for one, other in zip(own, plain, strict=True)])
    return JOBS / min(one.wall for one in own), statistics.median(one.cpu for one in own) / JOBS * 1e6, ratio


async def measure(queue: Queue | None) -> tuple[Spent, Spent]:
    """Submits, then leases and completions."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        async with Store(f"sqlite:///{folder}/store.db") as store:
            if queue is not None:
                await store.run(lambda tx: tx.put_queue(queue))
            jobs = [replace(JOB, tenant=f"t{n % TENANTS}", fair_key=f"t{n % TENANTS}") for n in range(JOBS)]
            watch = Watch()
            await asyncio.gather(*(store.submit_many(jobs[start : start + 20]) for start in range(0, JOBS, 20)))
            submitted = watch.spent()
            watch = Watch()
            await asyncio.gather(*(work(store, f"worker-{number}") for number in range(WORKERS)))
            return submitted, watch.spent()


async def work(store: Store, name: str) -> None:
    """Lease and complete until nothing is left."""

    async def end(lease: Lease) -> None:
        await store.settle(Settle(lease.token, "worker", Outcome.SUCCEEDED))

    command = Acquire(name, name, "worker", None, ("q",), AT_ONCE, 60.0)
    while leases := (await store.acquire(command)).leases:
        await asyncio.gather(*map(end, leases))


if __name__ == "__main__":
    asyncio.run(main())
