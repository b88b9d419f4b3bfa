"""Write jobs of NCMP over 50,000 targets: how long 1,000 to 100,000 operations take to be accepted, in how much memory.

A DMI service in a process of its own takes what it is handed. Run: ``python benchmarks/ncmp.py``; ``TARGETS=5000`` and
``OPERATIONS=1000,10000`` make it shorter.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import aiohttp
from _measure import QUIET, Server, cpu_seconds, print_table
from aiohttp import web

TARGETS = int(os.environ.get("TARGETS", "50000"))
OPERATIONS = [int(word) for word in os.environ.get("OPERATIONS", "1000,10000,100000").split(",")]
SMALL_JOBS = 50
UPSTREAM = 4.2
"""Seconds that the original takes for 100,000 operations on its own hardware (ONAP CPS, k6 tests of 2025-12-08: two
instances of 3 CPUs and 3 GB each behind nginx, PostgreSQL of 6 CPUs): context, and no comparison."""
MEBI = 1024 * 1024
SETTINGS = {
    "JOBYARD_OUTBOUND_ALLOW": "127.0.0.0/8",
    **QUIET,
    "JOBYARD_LOG_LEVEL": "warning",
    # Nobody follows the jobs while the next ones are measured.
    "JOBYARD_DMI_POLL_SECONDS": "30",
}


def serve(pipe: Connection) -> None:
    """A DMI service that takes everything."""

    async def created(request: web.Request) -> web.Response:
        size = 0
        async for chunk in request.content.iter_chunked(MEBI):
            size += len(chunk)
        return web.json_response({"subJobId": str(size)})

    async def main() -> None:
        app = web.Application()
        app.router.add_post("/dmi/v1/cmwriteJob", created)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        pipe.send(f"http://127.0.0.1:{runner.addresses[0][1]}")
        await asyncio.Event().wait()

    asyncio.run(main())


def name_of(number: int) -> str:
    """A target's name, as deep and as long as those of a network."""
    return f"/SubNetwork=Europe/SubNetwork=Ireland/MeContext=NR03gNodeBRadio{number:05}/ManagedElement=ME{number:05}"


def body_of(operations: int) -> bytes:
    """A write job, each operation on something below a target."""
    data = [
        {
            "path": f"{name_of(number % TARGETS)}/GNBDUFunction=1/NRCellDU={number}",
            "op": "merge",
            "operationId": str(number),
            "value": {"id": str(number), "attributes": {"userLabel": f"label{number}"}},
        }
        for number in range(operations)
    ]
    metadata = {"destination": "d1", "dataAcceptType": "a", "dataContentType": "c"}
    said = {"dataJobMetadata": metadata, "dataJobWriteRequest": {"data": data}}
    return json.dumps(said, separators=(",", ":")).encode()


def peak(pid: int) -> float:
    """MiB of memory that a process had at the most since it was reset."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def reset_peak(pid: int) -> None:
    """Begin anew with what it has now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


async def register(session: aiohttp.ClientSession, server: Server, dmi: str) -> float:
    """Register all targets; seconds."""
    began = time.perf_counter()
    for start in range(0, TARGETS, 5000):
        targets = [
            {"cmHandle": f"ch-{number}", "alternateId": name_of(number), "dataProducerIdentifier": "p"}
            for number in range(start, min(start + 5000, TARGETS))
        ]
        said = {"dmiPlugin": dmi, "createdCmHandles": targets}
        async with session.post(f"{server.url}/ncmpInventory/v1/ch", json=said) as answer:
            assert answer.status == 200, await answer.text()
    return time.perf_counter() - began


async def write(session: aiohttp.ClientSession, server: Server, name: str, body: bytes) -> float:
    """Hand a job in; seconds until it was answered."""
    began = time.perf_counter()
    url = f"{server.url}/do-not-use/dataJobs/{name}/write"
    async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as answer:
        parts = await answer.json()
        assert answer.status == 200, parts
        assert all(part["subJobId"] for part in parts), parts
    return time.perf_counter() - began


async def main(dmi: str) -> None:
    """Measure and print."""
    rows: list[tuple[object, ...]] = []
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), **SETTINGS) as server:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(300)) as session:
            registered = await register(session, server, dmi)
            # What registering them took is no part of what follows.
            await asyncio.to_thread(server.stop, 60)
            await asyncio.to_thread(server.start)
            pid = server.process.pid
            small = body_of(100)
            took = sorted([await write(session, server, f"small-{number}", small) for number in range(SMALL_JOBS)])
            for count in OPERATIONS:
                body = body_of(count)
                reset_peak(pid)
                idle, before = peak(pid), cpu_seconds(pid)
                seconds = await write(session, server, f"job-{count}", body)
                cpu, most, size = cpu_seconds(pid) - before, peak(pid), len(body) / MEBI
                each = seconds / count * 1e6
                rows.append((count, size, seconds, cpu, each, idle, most, most / size, (most - idle) / size))
        await asyncio.to_thread(server.stop, 60)
    print_table(
        f"Write jobs over {TARGETS} targets, from the request to the answer with the ids of the DMI service",
        ("operations", "MiB", "seconds", "CPU s", "µs each", "MiB idle", "peak", "peak/body", "growth/body"),
        rows,
    )
    print(f"registered in {registered:.1f} s; a job of 100 operations: median {took[SMALL_JOBS // 2] * 1000:.1f} ms")
    print(f"to be: 100,000 operations within 6 s, peak at most 8 times the body. The original publishes {UPSTREAM} s.")


if __name__ == "__main__":
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    try:
        asyncio.run(main(ours.recv()))
    finally:
        process.terminate()
        process.join()
