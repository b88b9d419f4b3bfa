"""Ten thousand information jobs of ten types at four producers: do all arrive, how long it takes, what a PUT costs.

The server is restarted in between. Run: ``python benchmarks/infojobs.py``; ``JOBS=2000`` makes it shorter.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections import Counter
from pathlib import Path

import aiohttp
from _measure import QUIET, Server, cpu_seconds, print_table
from aiohttp import web

JOBS = int(os.environ.get("JOBS", "10000"))
TYPES = [f"type{number}_1.0.0" for number in range(10)]
PRODUCERS = [f"producer{number}" for number in range(4)]
CLIENTS = 16
IDLE_CPU = 0.05
"""Seconds of CPU in a second that a server may use which has nothing to do."""
WINDOW = 500
"""PUTs over which the cost is measured."""
SETTINGS = {
    "JOBYARD_OUTBOUND_ALLOW": "127.0.0.0/8",
    **QUIET,
    "JOBYARD_LOG_LEVEL": "warning",
}
SCHEMA = {"type": "object", "required": ["topic"]}


class Peers:
    """Four producers that accept everything and count it."""

    def __init__(self) -> None:
        self.posted: dict[str, Counter[str]] = {name: Counter() for name in PRODUCERS}
        self.url = ""

    async def start(self) -> web.AppRunner:
        """Listen."""
        app = web.Application()
        app.router.add_post("/{producer}/jobs", self._post)
        app.router.add_get("/{producer}/health", self._health)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def _post(self, request: web.Request) -> web.Response:
        said = await request.json()
        self.posted[request.match_info["producer"]][said["info_job_identity"]] += 1
        return web.Response()

    async def _health(self, _request: web.Request) -> web.Response:
        return web.Response()

    async def until_all_have(self, count: int) -> None:
        """Return when every producer got so many jobs."""
        while any(len(jobs) < count for jobs in self.posted.values()):  # noqa: ASYNC110 - as good as an event here
            await asyncio.sleep(0.05)


class Client:
    """Puts what there is."""

    def __init__(self, server: Server, session: aiohttp.ClientSession, peers: Peers) -> None:
        self._server = server
        self._session = session
        self._peers = peers

    async def put(self, path: str, body: object) -> int:
        """One PUT; its status."""
        async with self._session.put(self._server.url + path, json=body) as answer:
            await answer.read()
            return answer.status

    async def register(self) -> None:
        """Register all producers, each for all types."""
        for name in PRODUCERS:
            body = {
                "supported_info_types": TYPES,
                "info_job_callback_url": f"{self._peers.url}/{name}/jobs",
                "info_producer_supervision_callback_url": f"{self._peers.url}/{name}/health",
            }
            assert await self.put(f"/data-producer/v1/info-producers/{name}", body) in {200, 201}

    async def jobs(self, first: int, last: int, revision: int = 1) -> float:
        """Put jobs; CPU milliseconds of the server for each."""
        numbers = iter(range(first, last))

        async def some() -> None:
            for number in numbers:
                body = {
                    "info_type_id": TYPES[number % len(TYPES)],
                    "job_owner": f"owner{number % 7}",
                    "job_definition": {"topic": f"topic-{number}", "revision": revision},
                }
                assert await self.put(f"/data-consumer/v1/info-jobs/job{number}", body) in {200, 201}

        before = cpu_seconds(self._server.process.pid)
        await asyncio.gather(*(some() for _ in range(CLIENTS)))
        return (cpu_seconds(self._server.process.pid) - before) / (last - first) * 1000

    async def idle(self) -> None:
        """Return when the server has nothing to do, so that nothing else is measured than what comes."""
        pid = self._server.process.pid
        before = -1.0
        while (now := cpu_seconds(pid)) - before > IDLE_CPU:
            before = now
            await asyncio.sleep(1.0)

    async def enabled(self) -> int:
        """How many jobs are ENABLED at all four producers; every one is asked for."""
        numbers = iter(range(JOBS))

        async def some() -> int:
            found = 0
            for number in numbers:
                url = f"{self._server.url}/data-consumer/v1/info-jobs/job{number}/status"
                async with self._session.get(url) as answer:
                    found += await answer.json() == {"info_job_status": "ENABLED", "producers": PRODUCERS}
            return found

        return sum(await asyncio.gather(*(some() for _ in range(CLIENTS))))


async def main() -> None:
    """Measure and print."""
    peers = Peers()
    runner = await peers.start()
    rows: list[tuple[object, ...]] = []
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), **SETTINGS) as server:
        async with aiohttp.ClientSession() as session:
            client = Client(server, session, peers)
            for name in TYPES:
                assert await client.put(f"/data-producer/v1/info-types/{name}", {"info_job_data_schema": SCHEMA}) == 201
            await client.register()
            began = time.perf_counter()
            tenth = max(JOBS // 10, WINDOW)
            await client.jobs(0, tenth)
            await client.idle()
            few = await client.jobs(0, WINDOW, 2)
            await client.jobs(tenth, JOBS)
            await client.idle()
            many = await client.jobs(0, WINDOW, 3)
            await peers.until_all_have(JOBS)
            rows.append((f"{JOBS} jobs put and posted to 4 producers, seconds", time.perf_counter() - began))
            rows.append((f"CPU milliseconds of a PUT with {tenth} jobs stored", few))
            rows.append((f"CPU milliseconds of a PUT with {JOBS} jobs stored", many))
            rows.append(("ratio, to be at most 1.3", many / few))
            began = time.perf_counter()
            await asyncio.to_thread(server.stop, 60)
            await asyncio.to_thread(server.start)
            rows.append(("restart, seconds", time.perf_counter() - began))
            rows.append(("ENABLED of all after the restart", await client.enabled()))
            for jobs in peers.posted.values():
                jobs.clear()
            began = time.perf_counter()
            await client.register()
            await peers.until_all_have(JOBS)
            rows.append(("all posted again after registering anew, seconds", time.perf_counter() - began))
            rows.append(("ENABLED of all at the end", await client.enabled()))
    await runner.cleanup()
    print_table("Information jobs: 10 types, 4 producers", ("what", "value"), rows)


if __name__ == "__main__":
    asyncio.run(main())
