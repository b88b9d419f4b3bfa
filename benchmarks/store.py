"""What the store alone does a second: durable submits, and leases with their completion, by one process.

Printed beside it is what one fsync costs on this disk, and the same submits while another thread
keeps the interpreter busy: the event loop of a server does.

    python benchmarks/store.py [--seconds 5] [--profile]
"""

import argparse
import asyncio
import cProfile
import os
import pstats
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

from jobyard_server.domain.job import IdempotencyKey, NewJob, NewSubjob, Outcome
from jobyard_server.store.store import Store
from jobyard_server.store.writer import Writer
from jobyard_server.usecases.ports import Acquire, Settle

TEXT = '{"file": "' + "x" * 180 + '"}'
JOB = NewJob("jobs", "acme", "ann", spec=TEXT, subjobs=(NewSubjob(TEXT),))
CLIENTS = 64


def numbered(numbers: Iterator[int]) -> NewJob:
    """A job as a client submits it, under a key of its own."""
    number = next(numbers)
    return replace(JOB, external_id=f"job-{number}", key=IdempotencyKey(f"key-{number}", "same"))


async def rate(clients: int, seconds: float, act: Callable[[], Awaitable[int]]) -> tuple[float, float, float]:
    """(things done a second, median milliseconds of a call, CPU microseconds a thing)."""
    took: list[float] = []
    done = 0
    start, cpu = time.perf_counter(), time.process_time()

    async def client() -> None:
        nonlocal done
        while time.perf_counter() - start < seconds:
            before = time.perf_counter()
            count = await act()
            done += count
            took.append(time.perf_counter() - before)

    await asyncio.gather(*(client() for _ in range(clients)))
    elapsed, cpu = time.perf_counter() - start, time.process_time() - cpu
    took.sort()
    return done / elapsed, took[len(took) // 2] * 1e3, cpu / max(1, done) * 1e6


def fsync_milliseconds(folder: str) -> float:
    """The median of appending 4 KiB and waiting for the disk."""
    took = []
    with (Path(folder) / "probe").open("wb", buffering=0) as probe:
        for _ in range(200):
            before = time.perf_counter()
            probe.write(bytes(4096))
            os.fdatasync(probe.fileno())
            took.append(time.perf_counter() - before)
    return sorted(took)[100] * 1e3


async def leases(store: Store, seconds: float, at_once: int) -> tuple[float, float, float]:
    """Lease and complete jobs, so many at once, by eight workers."""
    sessions = count()

    async def work() -> int:
        session = f"s{next(sessions) % 8}"
        command = Acquire(session, session, "worker", None, ("default",), at_once, 30.0)
        got = (await store.acquire(command)).leases
        await asyncio.gather(
            *(store.settle(Settle(lease.token, "worker", Outcome.SUCCEEDED, result="1")) for lease in got)
        )
        return len(got)

    return await rate(8, seconds, work)


async def measure(seconds: float) -> None:
    """Print a line for each load."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        print(f"{'fdatasync of 4 KiB':<34}{fsync_milliseconds(folder):>38.2f} ms")
        numbers = count()
        async with Store(f"sqlite:///{folder}/store.db") as store:

            async def submit() -> int:
                await store.submit(numbered(numbers))
                return 1

            async def submit_hundred() -> int:
                return len(await store.submit_many([numbered(numbers) for _ in range(100)]))

            say("submit, 1 client", await rate(1, seconds / 2, submit))
            say(f"submit, {CLIENTS} clients", await rate(CLIENTS, seconds, submit))
            say("submit, 4 clients of 100 jobs", await rate(4, seconds, submit_hundred))
            with a_busy_thread():
                say(f"submit, {CLIENTS} clients, busy thread", await rate(CLIENTS, seconds, submit))
            for at_once in (1, 10, 50):
                say(f"lease and complete, {at_once} at once", await leases(store, seconds / 2, at_once))


class a_busy_thread:  # noqa: N801 - reads as what it is
    """Another thread that computes for as long as it lasts."""

    def __enter__(self) -> None:
        self._going = True
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        while self._going:
            sum(range(500))

    def __exit__(self, *_: object) -> None:
        self._going = False
        self._thread.join()


def say(what: str, figures: tuple[float, float, float]) -> None:
    """One line."""
    a_second, median, cpu = figures
    print(f"{what:<34}{a_second:>12,.0f} /s {median:>10.2f} ms {cpu:>10.0f} us CPU")


def profiled(seconds: float) -> None:
    """The same with a profile of the writer's thread."""
    profile = cProfile.Profile()
    serve = Writer._serve  # noqa: SLF001 - looks inside
    Writer._serve = lambda self: profile.runcall(serve, self)  # type: ignore[method-assign]  # noqa: SLF001 - from inside
    asyncio.run(measure(seconds))
    pstats.Stats(profile).sort_stats("tottime").print_stats(35)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    if given.profile:
        profiled(given.seconds)
    else:
        asyncio.run(measure(given.seconds))


if __name__ == "__main__":
    main()
